"""Log-probabilities as programs need them that compare texts: one for each token that was read."""

import json
import re
from pathlib import Path
from unittest.mock import Mock

import pytest

from microgpt import InferenceGpt
from microgpt.engine.compiled_model import CompiledModel
from microgpt.engine.decoding.decoder import TokenReader
from microgpt.sampling import Continuation, DecodeRules, Job
from microgpt.steps import finish
from microgpt_serve.app_state import MAX_READER_BYTES, AppState
from microgpt_serve.errors import QueueFullError, ServeError
from microgpt_serve.routes.openai import log_probabilities
from microgpt_serve.routes.openai.choice import GeneratedChoice
from microgpt_serve.routes.openai.log_probabilities import LogProbabilities
from microgpt_serve.schemas import MAX_ALTERNATIVES
from microgpt_serve.served_model import ServedModel
from microgpt_serve.settings import Settings

COMPLETIONS, HI = "/v1/completions", [{"role": "user", "content": "hi"}]
SCORE = {"temperature": 0, "max_tokens": 1, "logprobs": 1, "echo": True, "seed": 1234}


def complete(server, prompt, **fields) -> list[dict]:
    reply = server.request("POST", COMPLETIONS, {"prompt": prompt, **fields})
    assert reply.status == 200, reply.body
    return reply.json["choices"]


def expected(gpt: InferenceGpt, prompt: str) -> list[float]:
    """Return how likely the library takes each token of a prompt to be."""
    tokens, first = gpt.opening(prompt), len(gpt.opening(""))
    rows = gpt.log_probabilities(tokens, first - 1)
    return [row[token] for token, row in zip(tokens[first:], rows, strict=False)]


@pytest.fixture(scope="module")
def ended(talk, talk_gpt) -> str:
    """A prompt after which the likeliest token is the end."""
    for text in ("yo man", "hi there", "yo", "hi", "hi there yo man hi there", "man", "there"):
        row = talk_gpt.log_probabilities(talk_gpt.opening(text))[-1]
        if row.index(max(row)) in talk_gpt.tokenizer.special_ids:
            return text
    raise AssertionError("no text ends")


def test_the_log_probabilities_of_a_text_include_its_end_token(talk, talk_gpt, ended) -> None:
    """A client that scores a text drops the last entry, that of the token after the prompt."""
    (choice,) = complete(talk, ended, **SCORE)
    told = choice["logprobs"]
    assert (choice["text"], choice["finish_reason"]) == (ended, "stop")
    assert {len(told[name]) for name in told} == {len(ended) + 1}
    assert told["tokens"][-1] in ("<|end_turn|>", "<|bos|>")
    assert told["text_offset"] == list(range(len(ended) + 1))
    row = talk_gpt.log_probabilities(talk_gpt.opening(ended))[-1]
    assert told["token_logprobs"] == pytest.approx([*expected(talk_gpt, ended), max(row)])
    assert told["top_logprobs"][-1] == {told["tokens"][-1]: told["token_logprobs"][-1]}


def test_the_log_probabilities_of_a_reply_include_its_end_token(talk, ended) -> None:
    body = {"messages": HI, "logprobs": True, "top_logprobs": 1}
    for seed in range(50):
        reply = talk.request("POST", "/v1/chat/completions", {**body, "seed": seed}).json
        if (choice := reply["choices"][0])["finish_reason"] == "stop":
            break
    content = choice["logprobs"]["content"]
    assert len(content) == len(choice["message"]["content"]) + 1
    assert (content[-1]["token"], content[-1]["bytes"]) == ("<|end_turn|>", None)
    body |= {"model": "any", "seed": seed, "stream": True}
    with talk.openai().chat.completions.create(**body) as events:
        pieces = [one.choices[0].logprobs for one in events]
    assert [one.token for piece in pieces if piece for one in piece.content][-1] == "<|end_turn|>"


def test_the_chosen_token_is_listed_among_the_likeliest_tokens(names) -> None:
    choices = complete(names, "an", n=20, seed=1, temperature=9, logprobs=2, echo=True)
    n_others = set()
    for choice in choices:
        told = choice["logprobs"]
        lists = (told[name] for name in ("tokens", "token_logprobs", "top_logprobs"))
        for token, number, others in zip(*lists, strict=True):
            assert others[token] == number
            n_others.add(len(others))
    assert n_others == {2, 3}
    (bare,) = complete(names, "an", **SCORE | {"logprobs": 0})
    assert [list(one) for one in bare["logprobs"]["top_logprobs"][:2]] == [["a"], ["n"]]


def test_a_prompt_that_fills_the_context_has_log_probabilities(talk, talk_gpt) -> None:
    room = talk_gpt.config.block_size - len(talk_gpt.opening(""))
    full = ("hi there yo man " * 9)[:room]
    for prompt in (full, full[:-1]):
        (choice,) = complete(talk, prompt, **SCORE)
        numbers = choice["logprobs"]["token_logprobs"]
        assert len(numbers) == len(prompt) + 1
        assert numbers[:-1] == pytest.approx(expected(talk_gpt, prompt), abs=1e-5)
        (same,) = complete(talk, talk_gpt.tokenizer.encode(prompt), **SCORE)
        assert same == choice


def test_a_request_for_zero_tokens_is_answered(talk, talk_gpt) -> None:
    body = SCORE | {"max_tokens": 0}
    (choice,) = complete(talk, "yo man", **body)
    assert (choice["text"], choice["finish_reason"]) == ("yo man", "length")
    assert choice["logprobs"]["token_logprobs"] == pytest.approx(expected(talk_gpt, "yo man"))
    assert [one["text"] for one in complete(talk, ["hi", "yo"], n=2, max_tokens=0)] == [""] * 4
    streamed = talk.request("POST", COMPLETIONS, {"prompt": "yo", **body, "stream": True})
    assert streamed.body.endswith(b"data: [DONE]\n\n")
    assert streamed.body.count(b'"yo"') == 1


@pytest.mark.parametrize("stream", [False, True])
def test_several_prompts_are_answered_independently(talk, talk_gpt, stream) -> None:
    prompts = ["hi", "", "yo man", "there"]
    settings = {"seed": 5, "temperature": 2, "n": 3}
    wanted = [
        text.removeprefix(prompt)
        for prompt in prompts
        for text in talk_gpt.generate(3, prompt=prompt, seed=5, temperature=2)
    ]
    as_tokens = [talk_gpt.tokenizer.encode(prompt) for prompt in prompts]
    as_tokens[1] = talk_gpt.opening("")  # as it is, because it begins with the first token of texts
    for body in ({"prompt": prompts}, {"prompt": as_tokens}):
        body |= settings | {"stream": stream}
        if not stream:
            choices = talk.request("POST", COMPLETIONS, body).json["choices"]
            assert [one["index"] for one in choices] == list(range(12))
            assert [one["text"] for one in choices] == wanted
            continue
        texts = [""] * 12
        with talk.openai().completions.create(model="any", **body) as events:
            for event in events:
                for choice in event.choices:
                    texts[choice.index] += choice.text
        assert texts == wanted


def test_a_prompt_may_be_given_as_a_list_of_tokens(talk, talk_gpt) -> None:
    tokenizer = talk_gpt.tokenizer
    turn = [tokenizer.bos_id, tokenizer.role_id("user"), *tokenizer.encode("hi")]
    (as_is,) = complete(talk, turn, **SCORE)
    told = as_is["logprobs"]
    assert told["tokens"][:4] == ["<|bos|>", "<|user|>", "h", "i"]
    assert told["token_logprobs"][0] is told["top_logprobs"][0] is None  # nothing came before it
    assert told["text_offset"][:4] == [0, 0, 0, 1]
    rows = talk_gpt.log_probabilities(turn)
    numbers = [row[token] for token, row in zip(turn[1:], rows, strict=False)]
    assert told["token_logprobs"][1:4] == pytest.approx(numbers)
    assert as_is["text"].startswith("hi")
    body = SCORE | {"prompt": [tokenizer.bos_id], "stream": True}
    *events, _ = talk.request("POST", COMPLETIONS, body).body.decode().strip().split("\n\n")
    lists = [json.loads(one[6:])["choices"][0]["logprobs"]["tokens"] for one in events]
    assert next(token for tokens in lists for token in tokens) == "<|bos|>"
    (bare,) = complete(talk, [tokenizer.bos_id], **SCORE | {"max_tokens": 0})
    assert bare["logprobs"]["token_logprobs"] == [None]


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ([], "prompt must be a string, a list of token ids, or a non-empty list of either"),
        ([[]], "prompt must be"),
        (["hi", 3], "prompt must be"),
        ([1, "hi"], "prompt must be"),
        ([True], "prompt must be"),
        ([-1], "prompt must be"),
        ([1.5], "prompt must be"),
        ({"a": 1}, "prompt must be"),
        ([10**6], "the tokens of a prompt must be from 0 to "),
        (["hi"] * 51, "prompt must have at most 50 entries"),
        ("a" * 200_000, "prompt must have at most 131072 characters"),
    ],
)
def test_a_bad_prompt_gives_a_one_sentence_error(talk, prompt, message) -> None:
    reply = talk.request("POST", COMPLETIONS, {"prompt": prompt})
    assert reply.status == 400
    assert reply.json["error"]["message"].startswith(message)


def test_the_limit_on_texts_applies_to_prompts_times_choices(talk) -> None:
    reply = talk.request("POST", COMPLETIONS, {"prompt": ["hi"] * 11, "n": 5})
    assert reply.status == 400
    assert reply.json["error"]["message"].startswith("n times the number of prompts must be <= 50")


def test_a_stream_reads_each_token_only_once(talk_gpt, monkeypatch) -> None:
    readers = Mock(wraps=TokenReader)
    monkeypatch.setattr(log_probabilities, "TokenReader", readers)
    prompt = talk_gpt.opening("hi")
    job, tokens = Job([prompt], range(1), DecodeRules()), talk_gpt.tokenizer.encode(" there yo")
    computed = {}
    for is_stream in (False, True):
        found = LogProbabilities(talk_gpt, job, 2, is_stream=is_stream)
        choice = GeneratedChoice(0, talk_gpt.tokenizer, prompt=prompt)
        computed[is_stream] = []
        for piece in [[token] for token in tokens] if is_stream else [tokens]:
            choice.extend(Continuation(piece, None))
            computed[is_stream] += finish(found.add_to(choice, choice.update())).likely
        monkeypatch.setattr(CompiledModel, "activations", None)  # reads from the start
    assert readers.call_count == 1
    assert list(map(list, computed[True])) == list(map(list, computed[False]))
    for one, other in zip(computed[True], computed[False], strict=True):
        assert list(one.values()) == pytest.approx(list(other.values()), abs=1e-5)


@pytest.mark.parametrize(
    ("page", "body"),
    [
        (COMPLETIONS, {"prompt": "hi", "logprobs": 20, "n": 8, "max_tokens": 16_384}),
        (
            "/v1/chat/completions",
            {"messages": HI, "logprobs": True, "n": 50, "max_tokens": 3000, "stream": True},
        ),
    ],
)
def test_the_log_probabilities_per_response_are_limited(talk, page, body) -> None:
    reply = talk.request("POST", page, body)
    assert reply.status == 400
    n = body["n"] * body["max_tokens"]
    n_likely = n * max(1, body["logprobs"] * ("prompt" in body))
    assert reply.json["error"]["message"] == (
        f"up to {n_likely} log-probabilities ({n} tokens) could be returned; at most "
        f"{MAX_ALTERNATIVES} are allowed; reduce max_tokens or n"
    )


def test_the_number_of_choices_times_prompt_tokens_is_limited(talk_gpt) -> None:
    job = Job([[0] * 3000], range(50), DecodeRules(max_tokens=1))
    with pytest.raises(ServeError, match="with logprobs, n times the tokens of the prompts"):
        LogProbabilities(talk_gpt, job, 0, is_stream=False).check_size((), has_new=True)


def test_a_stream_frees_the_reader_of_a_finished_choice(talk_gpt) -> None:
    prompt = talk_gpt.opening("hi")
    found = LogProbabilities(talk_gpt, Job([prompt], range(2), DecodeRules()), 2, is_stream=True)
    choices = [GeneratedChoice(i, talk_gpt.tokenizer, prompt=prompt) for i in range(2)]
    for choice, reason in zip(choices, (None, "length"), strict=True):
        choice.extend(Continuation(talk_gpt.tokenizer.encode("yo"), reason))
        finish(found.add_to(choice, choice.update()))
    assert list(found._readers) == [0]


def test_a_stream_that_needs_too_much_memory_is_refused(talk_gpt, monkeypatch) -> None:
    monkeypatch.setattr(log_probabilities, "MAX_READER_BYTES", 2**16)

    def check(n: int, *, is_stream: bool = True) -> None:
        job = Job([talk_gpt.opening("hi")], range(n), DecodeRules())
        found = LogProbabilities(talk_gpt, job, 2, is_stream=is_stream)
        found.check_size((), has_new=True)

    check(1)
    check(50, is_stream=False)
    with pytest.raises(ServeError, match="reduce max_tokens or n, or omit stream") as refused:
        check(50)
    assert refused.value.status == 400


def test_streams_share_a_memory_limit_for_log_probabilities(talk_result) -> None:
    state = AppState(Settings(), ServedModel("talk", "1", InferenceGpt(talk_result), None), [])
    large = state.reader_memory(2 * MAX_READER_BYTES)  # alone, it may
    with large, state.reader_memory(0), pytest.raises(QueueFullError), state.reader_memory(1):
        pass
    with state.reader_memory(1), state.reader_memory(MAX_READER_BYTES - 1):
        assert state.n_reader_bytes == MAX_READER_BYTES
    assert state.n_reader_bytes == 0


def test_streams_with_log_probabilities_take_bounded_memory(serve) -> None:
    """The demo model: each of 50 choices needs a cache of half a MB."""
    server = serve()
    body = {"prompt": "h", "temperature": 9, "n": 50, "logprobs": 20, "max_tokens": 131}
    replies = server.at_once(COMPLETIONS, [{**body, "stream": True}] * 16, n_clients=16)
    assert {reply.status for reply in replies} == {200, 503}
    full = next(reply for reply in replies if reply.status == 503)
    assert full.json["error"]["message"] == "the queue is full; try again later"
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    assert int(re.search(r"VmHWM:\s+(\d+)", status)[1]) < 400 * 1024
    small = {"prompt": "h", "logprobs": 1, "max_tokens": 1, "stream": True}
    assert server.request("POST", COMPLETIONS, small).status == 200  # all of it was given back
