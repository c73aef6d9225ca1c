"""Tests of the service with OpenAI's Python client, and with the program `llm`."""

import os
import sys
from importlib import import_module
from pathlib import Path

import pytest
from commands import run_process

from microgpt import InferenceGpt, Message, Sampling
from microgpt_serve.request_bodies import (
    IGNORED,
    UNSUPPORTED,
    ChatCompletionRequest,
    CompletionRequest,
)

HI = {"role": "user", "content": "hi there"}
HOT = {"temperature": 1.5}
NEW_LIMIT = "max_completion_tokens"


@pytest.fixture(scope="module")
def writer(names):
    return names.openai()


@pytest.fixture(scope="module")
def talker(talk):
    return talk.openai()


@pytest.fixture(scope="module")
def reader(subword):
    return subword.openai()


def ask(client, *messages, **fields):
    return client.chat.completions.create(model="any", messages=messages or [HI], **fields)


def write(client, prompt="", **fields):
    return client.completions.create(model="any", prompt=prompt, **fields)


def test_the_served_model_is_listed_and_found_only_by_its_name(writer) -> None:
    (model,) = writer.models.list().data
    assert (model.id, model.object, model.owned_by) == ("names", "model", "microgpt")
    assert model.created > 1_700_000_000
    assert writer.models.retrieve("names") == model
    with pytest.raises(
        import_module("openai").NotFoundError, match="'a/b' does not exist; use names"
    ) as error:
        writer.models.retrieve("a/b")
    assert error.value.code == "model_not_found"


def test_a_message_parsed_by_the_openai_client_can_be_sent_back(talker) -> None:
    helpers = talker.chat.completions
    parsed = helpers.parse(model="any", messages=[HI])
    with helpers.stream(model="any", messages=[HI]) as events:
        streamed = events.get_final_completion()
    for reply in (parsed, streamed):
        assert ask(talker, HI, reply.choices[0].message, HI).choices[0].finish_reason


def test_a_response_states_its_model_version_time_and_unique_id(talker, talk) -> None:
    reply = ask(talker, seed=1)
    assert (reply.model, reply.object) == ("talk", "chat.completion")
    assert reply.system_fingerprint == talk.get("/health").json["version"]
    assert reply.id.startswith("chatcmpl-")
    assert reply.created >= talker.models.list().data[0].created
    ids = [write(talker, extra_headers={"X-Request-ID": "mine"}).id for _ in range(2)]
    assert all(each.startswith("cmpl-") for each in ids)
    assert len({*ids}) == 2


def test_several_choices_have_consecutive_seeds(writer, names_gpt, talker, talk_gpt) -> None:
    choices = write(writer, n=50, seed=2**63 - 1, temperature=2).choices
    assert [one.index for one in choices] == list(range(50))
    assert [one.text for one in choices] == names_gpt.generate(50, seed=2**63 - 1, temperature=2)
    said = [one.message.content for one in ask(talker, n=3, seed=5, **HOT).choices]
    messages = [Message("user", "hi there")]
    assert said == [talk_gpt.chat(messages, temperature=1.5, seed=5 + i).content for i in range(3)]


def test_a_negative_seed_acts_as_that_seed_plus_2_to_the_63(writer, names_gpt) -> None:
    for seed in (-1, -(2**63)):
        (text,) = names_gpt.generate(seed=seed + 2**63, temperature=2)
        assert write(writer, seed=seed, temperature=2).choices[0].text == text


def test_responses_to_requests_without_a_seed_differ(writer) -> None:
    assert len({write(writer, temperature=2).choices[0].text for _ in range(8)}) > 1


def test_the_default_temperature_equals_that_of_the_library(writer, names_gpt) -> None:
    assert [one.text for one in write(writer, n=9, seed=1).choices] == names_gpt.generate(9, seed=1)


@pytest.mark.parametrize(
    "limit",
    [{"max_tokens": 3}, {NEW_LIMIT: 3}, {"max_tokens": 9, NEW_LIMIT: 3}],
)
def test_a_token_limit_ends_a_reply_with_finish_reason_length(talker, limit) -> None:
    reply = ask(talker, seed=1, temperature=9, **limit)
    assert (reply.usage.completion_tokens, reply.choices[0].finish_reason) == (3, "length")
    assert len(reply.choices[0].message.content) == 3


@pytest.mark.parametrize("client", ["writer", "talker", "reader"])
def test_usage_counts_tokens_and_is_streamed_only_if_requested(client, request) -> None:
    client = request.getfixturevalue(client)
    name = client.models.list().data[0].id
    gpt: InferenceGpt = request.getfixturevalue(f"{name}_gpt")
    fields = {"prompt": "a", "seed": 3, "n": 4, "max_tokens": 5, "temperature": 3}
    usage = write(client, **fields).usage
    job = gpt.text_job(4, prompts=["a"], sampling=Sampling(3), max_tokens=5, seed=3)
    found = gpt.engine_model.decode_many([*job.prompts] * 4, job.seeds, job.rules)
    assert usage.prompt_tokens == len(gpt.opening("a"))
    assert usage.completion_tokens == sum(map(len, found))
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    options = {"stream_options": {"include_usage": True}}
    with write(client, stream=True, **fields, **options) as events:
        *others, last = events
    assert (last.choices, last.usage) == ([], usage)
    assert all(one.usage is None for one in others)
    assert all("usage" in one.to_dict() for one in others)
    with write(client, "a", seed=3, max_tokens=5, stream=True) as events:
        assert not any("usage" in one.to_dict() for one in events)


def test_a_message_can_consist_of_several_text_parts(talker) -> None:
    parts = [{"type": "text", "text": "hi "}, {"type": "text", "text": "there"}]
    in_parts = ask(talker, {"role": "user", "content": parts}, seed=2, **HOT)
    assert in_parts.choices[0].message == ask(talker, seed=2, **HOT).choices[0].message


def test_a_reply_reports_dropped_tokens_and_unknown_characters(talker) -> None:
    reply = ask(talker, *[HI, {"role": "assistant", "content": "yo man"}] * 9, HI, seed=1)
    assert reply.tokens_dropped > 100
    assert ask(talker, {"role": "user", "content": "hi 日"}).unknown_characters == "日"
    (first, *_) = ask(talker, {"role": "user", "content": "hi 日"}, stream=True)
    assert (first.unknown_characters, first.tokens_dropped) == ("日", 0)


def test_the_events_of_a_stream_add_up_to_the_reply(talker) -> None:
    whole = ask(talker, seed=8, n=3, temperature=3)
    texts, reasons, roles, ids = [""] * 3, [None] * 3, [None] * 3, set()
    for chunk in ask(talker, seed=8, n=3, temperature=3, stream=True):
        assert chunk.object == "chat.completion.chunk"
        ids.add(chunk.id)
        for choice in chunk.choices:
            assert reasons[choice.index] is None  # no chunk follows the one with a finish reason
            roles[choice.index] = roles[choice.index] or choice.delta.role
            assert roles[choice.index] == "assistant"
            texts[choice.index] += choice.delta.content or ""
            reasons[choice.index] = choice.finish_reason
    assert texts == [one.message.content for one in whole.choices]
    assert reasons == [one.finish_reason for one in whole.choices]
    assert len(ids) == 1


def test_the_stream_of_an_empty_reply_has_a_role_and_a_finish_reason(talker) -> None:
    stop = ask(talker, seed=1, temperature=9).choices[0].message.content[0]
    first, *_, last = ask(talker, seed=1, temperature=9, stop=stop, stream=True)
    assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", "")
    assert last.choices[0].finish_reason == "stop"


LLM = Path(sys.executable).parent / "llm"
OPTIONS = ["-o", "seed", "3", "-o", "temperature", "1.5"]


@pytest.mark.slow
def test_the_llm_command_lists_the_model_and_chats_with_it(talk, talk_gpt, tmp_path) -> None:
    reply = talk_gpt.chat("hi there", temperature=1.5, seed=3).content
    asked = ("hi there", "-m", "talk", *OPTIONS)
    for args, said in ((asked, reply), ((*asked, "--no-stream"), reply), (["--models"], "talk")):
        command = [LLM, "openai", "endpoint", f"http://{talk.host}:{talk.port}/v1", *args]
        env = {**os.environ, "LLM_USER_PATH": str(tmp_path)}
        done = run_process(command, env=env, stdin="", timeout=60)
        assert (done.returncode, done.stdout.strip()) == (0, said.strip()), done.stderr


CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
SHORT = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    "fields",
    [
        {"frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "best_of": 1},
        {"frequency_penalty": None, "n": None, "temperature": None, "stop": None, "seed": 1},
        {"suffix": "", "echo": False, "logprobs": None, "modalities": ["text"], "functions": []},
        {"tools": [], "tool_choice": "none", "parallel_tool_calls": True, "logprobs": False},
        {"response_format": {"type": "text"}, "top_logprobs": None},
        {"stop": [], "user": "ann", "stream": False, "stream_options": None},
        {"safety_identifier": "ann", "prompt_cache_key": "k", "verbosity": "low"},
        {"metadata": {"run": "7"}, "verbosity": None, "prompt_cache_options": {"ttl": "30m"}},
        {"prompt_cache_retention": "24h", "max_completion_tokens": 20},
        {"store": True, "reasoning_effort": "minimal", "service_tier": "flex"},
        {"top_p": 1, "top_k": 10_000, "min_p": 0, "model": "gpt-9"},
    ],
)
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_neutral_and_ignored_fields_do_not_change_the_choices(talk, path, fields) -> None:
    body = {"seed": 1} | ({"messages": [SHORT]} if path == CHAT else {})
    plain, adorned = (talk.request("POST", path, body | more) for more in ({}, fields))
    assert adorned.status == 200, adorned
    assert adorned.json["choices"] == plain.json["choices"]


@pytest.mark.parametrize(
    ("role", "extra"),
    [
        ("system", {"content": "", "name": "ann"}),
        ("assistant", {"provider_specific_fields": {"refusal": None}}),
        ("assistant", {"parsed": None, "refusal": "", "reasoning": None}),
        ("assistant", {"reasoning_content": "because", "annotations": [], "audio": None}),
        ("assistant", {"tool_calls": None, "function_call": None, "name": None}),
    ],
)
def test_message_fields_that_clients_send_back_are_accepted(talk, role, extra) -> None:
    """LangChain, instructor and litellm send these fields."""
    messages = [SHORT, {"role": role, "content": "yo man", **extra}, SHORT]
    assert talk.request("POST", CHAT, {"messages": messages}).status == 200


@pytest.mark.parametrize(
    "content", [{"content": ""}, {"content": " "}, {"content": None}, {"content": []}, {}]
)
def test_an_empty_or_blank_assistant_message_counts_as_a_turn(talk, talk_gpt, content) -> None:
    body = {"messages": [SHORT, {"role": "assistant", **content}, SHORT], "seed": 4}
    hi, nothing = Message("user", "hi"), Message("assistant", content.get("content") or "")
    reply = talk.request("POST", CHAT, body).json["choices"][0]["message"]
    assert reply["content"] == talk_gpt.chat([hi, nothing, hi], seed=4).content


@pytest.mark.parametrize(
    ("module", "body"),
    [("openai.types.chat", ChatCompletionRequest), ("openai.types", CompletionRequest)],
)
def test_the_service_knows_every_field_that_the_openai_client_can_send(module, body) -> None:
    kinds = import_module(module).completion_create_params.CompletionCreateParams.__args__
    fields = {field for kind in kinds for field in kind.__annotations__}
    assert "seed" in fields
    assert fields <= {*body.model_fields, *IGNORED, *UNSUPPORTED}
