import json

import httpx2 as httpx
import pytest
from asgi import ask_app

from microgpt import Message, save, train

pytest.importorskip("microgpt_serve")
from microgpt_serve import ServiceSettings, create_app

PAIRS = {"When are you open?": "From 7 to 18.", "Can I order a cake?": "Call us."}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    talks = [(Message("user", asked), Message("assistant", said)) for asked, said in PAIRS.items()]
    path = tmp_path_factory.mktemp("models") / "faq"
    save(train(talks), path)
    return str(path)


def ask_service(
    settings: ServiceSettings, method: str, path: str, body: dict | None = None
) -> httpx.Response:
    (response,) = ask_app(create_app(settings), (method, path, {"json": body}))
    return response


def post(settings: ServiceSettings, path: str, body: dict) -> httpx.Response:
    return ask_service(settings, "POST", path, body)


def asked(text: str, **others) -> dict:
    return {"messages": [{"role": "user", "content": text}], **others}


@pytest.mark.parametrize(
    ("text", "said"), [("order cakes", "Call us."), ("who are the beatles", "I don't know.")]
)
def test_each_route_answers_known_questions_and_refuses_others(directory, text, said) -> None:
    settings = ServiceSettings(model_dir=directory)
    reply = post(settings, "/microgpt/v1/chat", asked(text, temperature=9)).json()
    assert (reply["content"], reply["finish_reason"]) == (said, "stop")
    body = asked(text, n=2, temperature=9, seed=1)
    whole = post(settings, "/v1/chat/completions", body).json()
    assert [choice["message"]["content"] for choice in whole["choices"]] == [said, said]
    streamed = post(settings, "/v1/chat/completions", asked(text, stream=True, temperature=9)).text
    events = [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
    deltas = [event["choices"][0]["delta"].get("content", "") for event in events]
    assert "".join(deltas) == said
    assert events[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("path", ["/v1/completions", "/microgpt/v1/generate"])
def test_a_model_of_few_questions_refuses_to_continue_texts(directory, path) -> None:
    response = post(ServiceSettings(model_dir=directory), path, {"prompt": "When"})
    assert response.status_code == 400
    assert "only answers questions and cannot continue a text; use chat" in response.text
