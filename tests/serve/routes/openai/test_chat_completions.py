from microgpt import Message
from microgpt.sampling import Continuation
from microgpt_serve.generation import Generation
from microgpt_serve.routes.openai import response_builder
from microgpt_serve.routes.openai.request_schemas import ChatCompletionRequest
from microgpt_serve.served_models import ServedModel

HI = {"role": "user", "content": "hi there"}


def events(gpt, stop: list[str], *growth: tuple[str, str | None]) -> list[dict]:
    """Return the events of a reply in these pieces, without what is the same in all of them."""
    job = gpt.reply_job(gpt.chat_prompt([Message("user", "hi there")]))
    model = ServedModel("subword", "1", gpt, None)
    notes = {"tokens_dropped": 0, "unknown_characters": ""}
    generation = Generation(None, model, job, stop, notes)
    told = []
    for text, reason in growth:
        generation.choices[0].extend(Continuation(gpt.tokenizer.encode(text), reason))
        told += response_builder.events(
            generation, generation.choices, response_builder.MESSAGE, {}
        )
    return told


def test_a_stream_sends_the_role_and_warnings_only_once(subword_gpt) -> None:
    (there,) = subword_gpt.tokenizer.encode(" there")  # so a part of a token's text is told first
    assert subword_gpt.tokenizer.decode([there]) == " there"
    told = events(subword_gpt, ["ere!"], (" there", None), (" hi", None), ("", "stop"))
    deltas = [one["choices"][0]["delta"] for one in told]
    assert deltas == [{"role": "assistant", "content": " th"}, {"content": "ere hi"}, {}]
    assert ["tokens_dropped" in one for one in told] == [True, False, False]


def test_the_stream_of_an_empty_reply_has_a_role_and_an_end(subword_gpt) -> None:
    told = events(subword_gpt, ["hi"], ("hi", "length"))
    assert [one["choices"][0]["delta"] for one in told] == [
        {"role": "assistant", "content": ""},
        {},
    ]
    assert told[-1]["choices"][0]["finish_reason"] == "stop"


def test_ignored_request_fields_take_no_memory() -> None:
    fields = dict.fromkeys(("parsed", "reasoning", "reasoning_content", "refusal"), "a" * 10**6)
    messages = [{"role": "assistant", "content": "", **fields}, {"role": "user", "content": "hi"}]
    body = ChatCompletionRequest.model_validate({"messages": messages, "user": "b" * 10**6})
    assert len(repr(body)) < 10_000
