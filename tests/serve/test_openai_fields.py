"""Fields and messages of OpenAI's clients: accepted, ignored, or all known."""

import openai
import pytest

from microgpt import Message
from microgpt_serve.bodies import IGNORED, UNSUPPORTED, ChatCompletionRequest, CompletionRequest

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
HI = {"role": "user", "content": "hi"}


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
