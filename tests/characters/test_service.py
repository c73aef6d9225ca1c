import json

import httpx2 as httpx
import pytest
from asgi import ask_app

from microgpt import save

pytest.importorskip("microgpt_serve")
from microgpt_serve import ServiceSettings, create_app


@pytest.fixture(scope="module")
def directory(result, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("models") / "faq"
    save(result, path)
    return str(path)


def posted(directory: str, *requests: tuple[str, dict]) -> list[httpx.Response]:
    """Return the responses of the service to requests, each given as a path and a body."""
    app = create_app(ServiceSettings(model_dir=directory))
    return ask_app(app, *(("POST", path, {"json": body}) for path, body in requests))


def asked(text: str, **others) -> dict:
    return {"messages": [{"role": "user", "content": text}], **others}


@pytest.mark.parametrize(
    ("text", "said"), [("order cakes", "Call us."), ("who are the beatles", "I don't know.")]
)
def test_each_chat_route_answers_only_the_questions_of_the_table(directory, text, said) -> None:
    reply, whole, streamed = posted(
        directory,
        ("/microgpt/v1/chat", asked(text, temperature=9)),
        ("/v1/chat/completions", asked(text, n=2, temperature=9, seed=1)),
        ("/v1/chat/completions", asked(text, stream=True, temperature=9)),
    )
    assert (reply.json()["content"], reply.json()["finish_reason"]) == (said, "stop")
    assert [choice["message"]["content"] for choice in whole.json()["choices"]] == [said, said]
    lines = streamed.text.splitlines()
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    assert "".join([event["choices"][0]["delta"].get("content", "") for event in events]) == said
    assert events[-1]["choices"][0]["finish_reason"] == "stop"


def test_a_model_trained_on_a_table_refuses_to_continue_texts(directory) -> None:
    paths, body = ("/v1/completions", "/microgpt/v1/generate"), {"prompt": "When"}
    for response in posted(directory, *((path, body) for path in paths)):
        assert response.status_code == 400
        assert "cannot continue a text; use chat" in response.text
