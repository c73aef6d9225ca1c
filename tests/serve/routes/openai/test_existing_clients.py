"""What existing clients send, as recorded from LangChain, instructor and litellm."""

import pytest

from microgpt import Message

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
HI = {"content": "hi there", "role": "user"}
YO = {"content": "yo man", "role": "assistant"}
CALL = {"type": "function", "id": "1", "function": {"name": "f", "arguments": "{}"}}
SCHEMA = {"properties": {"a": {"type": "integer"}}, "required": ["a"], "type": "object"}
TOOLS = [{"type": "function", "function": {"name": "A", "parameters": SCHEMA}}]
LANGCHAIN = {"model": "demo", "stream": False}
LANGCHAIN_TEXT = {
    "model": "demo", "frequency_penalty": 0, "logprobs": None, "max_tokens": 256, "n": 1,
    "presence_penalty": 0, "seed": None, "temperature": 0.7, "top_p": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"messages": [HI], **LANGCHAIN, "seed": -1}),
        (CHAT, {"messages": [HI], **LANGCHAIN, "store": True}),
        (CHAT, {"messages": [HI], **LANGCHAIN, "reasoning_effort": "low"}),
        (CHAT, {"messages": [HI], "model": "gpt-5", "max_completion_tokens": 20, "stream": False}),
        (CHAT, {"messages": [HI], **LANGCHAIN, "logprobs": True, "n": 2, "top_logprobs": 2}),
        (
            CHAT,
            {
                "messages": [
                    {"content": "", "role": "system"},
                    {**HI, "name": "ann"},
                    {"content": "", "name": "bot", "role": "assistant"},
                    HI,
                ],
                **LANGCHAIN,
            },
        ),
        (COMPLETIONS, {"prompt": ["hi"], **LANGCHAIN_TEXT}),
        (COMPLETIONS, {"prompt": "hi", "stream": True, **LANGCHAIN_TEXT}),
        (CHAT, {"messages": [HI], "model": "demo", "n": 2, "seed": -5, "stop": ["x"]}),
        *(
            (CHAT, {"messages": [HI, {**YO, field: value}, HI], "model": "demo"})
            for field, value in [
                ("provider_specific_fields", {"refusal": None}),
                ("parsed", None),
                ("refusal", ""),
                ("reasoning", None),
                ("reasoning_content", "because"),
            ]
        ),
    ],
)
def test_requests_of_existing_clients_are_answered(talk, path, body) -> None:
    reply = talk.request("POST", path, body)
    assert reply.status == 200, reply


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"tool_choice": {"type": "function", "function": {"name": "A"}}, "tools": TOOLS}, "tools"),
        ({"tools": TOOLS, "stream": False}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "A", "schema": SCHEMA},
                }
            },
            "response_format",
        ),
        (
            {
                "messages": [
                    HI,
                    {"content": None, "role": "assistant", "tool_calls": [CALL]},
                    {"content": "x", "role": "tool", "tool_call_id": "1"},
                ]
            },
            "messages[1].tool_calls",
        ),
    ],
)
def test_tools_and_json_mode_are_refused_by_name(talk, body, field) -> None:
    reply = talk.request("POST", CHAT, {"messages": [HI], "model": "demo", **body})
    error = reply.json["error"]
    assert (reply.status, error["param"], error["code"]) == (400, field, "unsupported_parameter")
    assert error["message"] == f"{field} is not supported; omit {field}"


@pytest.mark.parametrize(
    "content", [{"content": ""}, {"content": " "}, {"content": None}, {"content": []}, {}]
)
def test_an_empty_reply_is_an_ordinary_turn(talk, talk_gpt, content) -> None:
    body = {"messages": [HI, {"role": "assistant", **content}, HI], "seed": 4}
    said = [
        Message("user", "hi there"),
        Message("assistant", content.get("content") or ""),
        Message("user", "hi there"),
    ]
    reply = talk.request("POST", CHAT, body).json["choices"][0]["message"]
    assert reply["content"] == talk_gpt.chat(said, seed=4).content
