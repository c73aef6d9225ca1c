"""What existing clients send, as recorded from LangChain, instructor and litellm."""

import pytest

from microgpt import Message

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
HI = {"content": "hi there", "role": "user"}
YO = {"content": "yo man", "role": "assistant"}
LANGCHAIN = {"model": "demo", "stream": False}
LANGCHAIN_TEXT = {
    "model": "demo", "frequency_penalty": 0, "logprobs": None, "max_tokens": 256, "n": 1,
    "presence_penalty": 0, "seed": None, "temperature": 0.7, "top_p": 1,
}  # fmt: skip


HABITS = {  # which clients of chats always send
    "tools": [], "tool_choice": "none", "parallel_tool_calls": True, "store": False,
    "response_format": {"type": "text"}, "modalities": ["text"], "service_tier": "auto",
    "metadata": {}, "functions": [], "top_logprobs": None, "logprobs": False,
    "prompt_cache_retention": "24h",
}  # fmt: skip
SYSTEM, BOT = {"content": "", "role": "system"}, {"content": "", "name": "bot", "role": "assistant"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"messages": [HI], "model": "gpt-5", "max_completion_tokens": 20, "stream": False}),
        (CHAT, {"messages": [SYSTEM, {**HI, "name": "ann"}, BOT, HI], **LANGCHAIN}),
        (COMPLETIONS, {"prompt": ["hi"], **LANGCHAIN_TEXT}),
        (COMPLETIONS, {"prompt": "hi", "stream": True, **LANGCHAIN_TEXT}),
        (COMPLETIONS, {"best_of": 1, "suffix": "", "echo": False}),
        (CHAT, {"messages": [HI, YO, HI], **HABITS}),
        *(
            (CHAT, {"messages": [HI, {**YO, **extra}, HI], "model": "demo"})
            for extra in (
                {"provider_specific_fields": {"refusal": None}},
                {"parsed": None, "refusal": "", "reasoning": None},
                {"reasoning_content": "because", "annotations": [], "audio": None},
                {"tool_calls": None, "function_call": None, "name": None},
            )
        ),
    ],
)
def test_typical_requests_of_existing_clients_are_answered(talk, path, body) -> None:
    reply = talk.request("POST", path, body)
    assert reply.status == 200, reply


@pytest.mark.parametrize(
    "content", [{"content": ""}, {"content": " "}, {"content": None}, {"content": []}, {}]
)
def test_an_empty_assistant_message_counts_as_an_ordinary_turn(talk, talk_gpt, content) -> None:
    body = {"messages": [HI, {"role": "assistant", **content}, HI], "seed": 4}
    hi, nothing = Message("user", "hi there"), Message("assistant", content.get("content") or "")
    reply = talk.request("POST", CHAT, body).json["choices"][0]["message"]
    assert reply["content"] == talk_gpt.chat([hi, nothing, hi], seed=4).content
