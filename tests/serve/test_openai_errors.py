"""What OpenAI's clients are told when something is wrong, in the shape that they read."""

import openai
import pytest

from microgpt import Message
from microgpt_serve.bodies import IGNORED, UNSUPPORTED, ChatCompletionRequest, CompletionRequest

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
HI = {"role": "user", "content": "hi"}


def assert_error(reply, status: int, message: str, field: str | None) -> None:
    assert reply.status == status, reply
    assert reply.headers["content-type"] == "application/json"
    assert list(reply.json) == ["error"]
    error = reply.json["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert message in error["message"]
    assert error["param"] == field
    codes = {"is not supported; ": "unsupported_parameter", "unknown field": "unknown_parameter"}
    for words, code in codes.items():
        assert (error["code"] == code) == (words in error["message"])


@pytest.mark.parametrize(
    ("fields", "message", "field"),
    [
        ({"temperature": -0.5}, "must be greater than or equal to 0, got -0.5", "temperature"),
        ({"n": 51}, "n must be less than or equal to 50, got 51", "n"),
        ({"seed": -(2**63) - 1}, "seed must be greater than or equal to -92233720", "seed"),
        ({"stop": ""}, "stop must be 1 to 1024 characters, or a list of at most 4", "stop"),
        ({"stop": ["a" * 1025]}, "stop must be 1 to 1024 characters", "stop"),
        ({"stop": list("abcde")}, "a list of at most 4 such strings, got a list", "stop"),
        ({"stream": 1}, "stream must be true or false, got 1", "stream"),
        ({"stream_options": {"x": 1}}, "unknown field; use include_usage", "stream_options.x"),
        ({"frequency_penalty": 0.5}, "is not supported; omit it", "frequency_penalty"),
        ({"logit_bias": {"50256": -100}}, "logit_bias is not supported; omit it", "logit_bias"),
        ({"colour": "blue"}, "colour is an unknown field; use model, ", "colour"),
    ],
)
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_the_error_for_an_invalid_field_names_the_field(talk, path, fields, message, field) -> None:
    body = {"messages": [HI]} if path == CHAT else {}
    assert_error(talk.request("POST", path, body | fields), 400, message, field)


@pytest.mark.parametrize(
    ("fields", "message", "field"),
    [
        ({"messages": []}, "messages must not be empty", "messages"),
        ({"messages": [{"role": "tool", "content": "Be kind."}]},
         "'user', 'assistant', 'system' or 'developer', got \"tool\"", "messages[0].role"),
        ({"messages": [{"role": "system", "content": "Be kind."}]},
         "messages must end with a message of the user", "messages"),
        ({"messages": [{**HI, "content": " "}]}, "content must not be empty",
         "messages[0].content"),
        ({"messages": [{**HI, "content": ["hi"]}]}, "must be a string or a list of {",
         "messages[0].content"),
        ({"messages": [{**HI, "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
         "a part of type image, which is not supported; send text only", "messages[0].content"),
        ({"messages": [HI, {"role": "assistant", "content": "hi"}]}, "messages must end with a",
         "messages"),
        ({"messages": [HI, {"role": "assistant", "content": None, "tool_calls": [{"id": "x"}]}]},
         "tool_calls is not supported", "messages[1].tool_calls"),
        ({"messages": [{**HI, "content": "h" * 99}]}, "the message has 99 characters", "messages"),
        ({"messages": [{**HI, "content": "日本"}]}, "no character of the message", "messages"),
        ({"logprobs": True}, "logprobs is not supported; omit it", "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format is not supported; omit",
         "response_format"),
        ({"prompt": "a"}, "prompt is an unknown field", "prompt"),
    ],
)  # fmt: skip
def test_the_error_of_an_invalid_conversation_names_the_field(talk, fields, message, field) -> None:
    reply = talk.request("POST", CHAT, {"messages": [HI]} | fields)
    assert_error(reply, 400, message, field)


@pytest.mark.parametrize(
    ("fields", "message", "field"),
    [
        ({"prompt": 5}, "prompt must be a string, a list of token ids", "prompt"),
        ({"prompt": "aZé"}, "the vocabulary does not contain 'Z'", "prompt"),
        ({"prompt": "Anna"}, "try lower case: 'anna'", "prompt"),
        ({"prompt": ["an", "Lo", "Eva"]}, "try lower case: 'lo'", "prompt[1]"),
        ({"prompt": ["Lo", "日"]}, "try lower case: 'lo'", "prompt[0]"),
        ({"n": 30, "prompt": ["a", "b"]}, "n times the number of prompts must be at most 50", "n"),
        ({"logprobs": 0}, "logprobs is not supported; omit it", "logprobs"),
        ({"messages": [HI]}, "messages is an unknown field", "messages"),
        ([], "the body must be an object", None),
    ],
)
def test_the_error_for_an_invalid_prompt_names_the_field(names, fields, message, field) -> None:
    assert_error(names.request("POST", COMPLETIONS, fields), 400, message, field)


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
def test_unsupported_fields_with_neutral_values_are_accepted(talk, path, fields) -> None:
    body = {"seed": 1} | ({"messages": [HI]} if path == CHAT else {})
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
def test_what_clients_keep_with_messages_is_accepted(talk, role, extra) -> None:
    """As LangChain, instructor and litellm send it."""
    messages = [HI, {"role": role, "content": "yo man", **extra}, HI]
    assert talk.request("POST", CHAT, {"messages": messages}).status == 200


@pytest.mark.parametrize(
    "content", [{"content": ""}, {"content": " "}, {"content": None}, {"content": []}, {}]
)
def test_an_empty_assistant_message_counts_as_an_ordinary_turn(talk, talk_gpt, content) -> None:
    body = {"messages": [HI, {"role": "assistant", **content}, HI], "seed": 4}
    hi, nothing = Message("user", "hi"), Message("assistant", content.get("content") or "")
    reply = talk.request("POST", CHAT, body).json["choices"][0]["message"]
    assert reply["content"] == talk_gpt.chat([hi, nothing, hi], seed=4).content


@pytest.mark.parametrize(
    ("module", "body"),
    [(openai.types.chat, ChatCompletionRequest), (openai.types, CompletionRequest)],
)
def test_every_field_that_the_client_can_send_is_known(module, body) -> None:
    kinds = module.completion_create_params.CompletionCreateParams.__args__
    fields = {field for kind in kinds for field in kind.__annotations__}
    assert "seed" in fields
    assert fields <= {*body.model_fields, *IGNORED, *UNSUPPORTED}


def test_a_chat_request_to_a_text_model_is_refused(names) -> None:
    with pytest.raises(openai.BadRequestError, match="this is not a chat model; use"):
        names.openai().chat.completions.create(model="names", messages=[HI])


def test_errors_of_every_kind_have_the_openai_format(names) -> None:
    assert_error(names.get("/v1/nowhere"), 404, "/v1/nowhere does not exist", None)
    assert_error(names.get(COMPLETIONS), 405, "does not support GET", None)
    assert_error(names.request("POST", COMPLETIONS, b"{}", Content_Type="text/plain"), 415,
                 "must be JSON", None)  # fmt: skip
    assert_error(names.request("POST", COMPLETIONS, {"prompt": "a" * 2**21}), 413, "larger", None)
    bad = names.request("POST", COMPLETIONS, b'{"n":', Content_Type="application/json")
    assert_error(bad, 400, "the body is not valid JSON", None)
