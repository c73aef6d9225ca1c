import json

import httpx2 as httpx
import pytest
from asgi import ask_app

from microgpt import Message, save, train
from microgpt.errors import ConfigError
from microgpt_serve import Settings, create_app
from microgpt_serve.served_models import ServedModels

PAIRS = {"When are you open?": "From 7 to 18.", "Can I order a cake?": "Call us."}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    talks = [(Message("user", asked), Message("assistant", said)) for asked, said in PAIRS.items()]
    path = tmp_path_factory.mktemp("models") / "faq"
    save(train(talks), path)
    return str(path)


def ask_service(
    settings: Settings, method: str, path: str, body: dict | None = None
) -> httpx.Response:
    (response,) = ask_app(create_app(settings), (method, path, {"json": body}))
    return response


def post(settings: Settings, path: str, body: dict) -> httpx.Response:
    return ask_service(settings, "POST", path, body)


def asked(text: str, **others) -> dict:
    return {"messages": [{"role": "user", "content": text}], **others}


@pytest.mark.parametrize(
    ("text", "said"), [("order cakes", "Call us."), ("who are the beatles", "I don't know.")]
)
def test_each_route_answers_known_questions_and_refuses_others(directory, text, said) -> None:
    settings = Settings(model_dir=directory)
    reply = post(settings, "/microgpt/v1/chat", asked(text, temperature=9)).json()
    assert (reply["content"], reply["finish_reason"]) == (said, "stop")
    body = asked(text, n=2, logprobs=True, top_logprobs=1, temperature=9, seed=1)
    whole = post(settings, "/v1/chat/completions", body).json()
    assert [choice["message"]["content"] for choice in whole["choices"]] == [said, said]
    assert len(whole["choices"][0]["logprobs"]["content"]) == len(said) + 1
    streamed = post(settings, "/v1/chat/completions", asked(text, stream=True, temperature=9)).text
    events = [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
    deltas = [event["choices"][0]["delta"].get("content", "") for event in events]
    assert "".join(deltas) == said
    assert events[-1]["choices"][0]["finish_reason"] == "stop"


def test_a_model_of_few_questions_refuses_a_response_format(directory) -> None:
    body = asked("order cakes", response_format={"type": "regex", "pattern": "C.*"})
    response = post(Settings(model_dir=directory), "/v1/chat/completions", body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "response_format")


@pytest.mark.parametrize("path", ["/v1/completions", "/microgpt/v1/generate"])
def test_a_model_of_few_questions_refuses_to_continue_texts(directory, path) -> None:
    response = post(Settings(model_dir=directory), path, {"prompt": "When"})
    assert response.status_code == 400
    assert "only answers questions and cannot continue a text; use chat" in response.text


@pytest.mark.parametrize("reply", ["", " "])
def test_a_blank_reply_to_unknown_questions_is_refused(directory, reply) -> None:
    with pytest.raises(ConfigError, match="--unknown must not be blank"):
        ServedModels.load(Settings(model_dir=directory, unknown=reply))


def test_settings_can_change_the_reply_to_unknown_questions(directory) -> None:
    settings = Settings(model_dir=directory, unknown="Ask us!", suggest=True)
    text = "is your cake of yesterday dry or too wet"
    said = post(settings, "/microgpt/v1/chat", asked(text)).json()["content"]
    assert said == "Ask us! (Can I order a cake?)"


def test_max_tokens_truncates_the_reply_to_unknown_questions(directory) -> None:
    reply = post(Settings(model_dir=directory), "/microgpt/v1/chat", asked("?!", max_tokens=5))
    assert (reply.json()["content"], reply.json()["finish_reason"]) == ("I don", "length")


def test_the_suggest_setting_requires_a_model_of_few_questions(talk_dir) -> None:
    with pytest.raises(ConfigError, match="require a model that has learned few questions"):
        ServedModels.load(Settings(model_dir=str(talk_dir), suggest=True))


def test_settings_for_few_questions_apply_to_such_models_only(directory, talk_dir) -> None:
    settings = Settings(model_dir=(f"faq={directory}", str(talk_dir)), unknown="Ask us!")
    models = ServedModels.load(settings)
    assert (list(models.by_name), models.failed) == (["faq", "talk"], set())
    assert models.find("faq").gpt.chat("who are the beatles").content == "Ask us!"
    assert models.find("talk").gpt.known_questions is None
    others = Settings(model_dir=(f"a={talk_dir}", f"b={talk_dir}"), unknown="Ask us!")
    with pytest.raises(ConfigError, match="require a model that has learned few questions"):
        ServedModels.load(others)


def test_an_answer_does_not_depend_on_earlier_messages(directory) -> None:
    history = [{"role": "user", "content": "hm"}, {"role": "assistant", "content": "I don't know."}]
    body = {"messages": [*history, {"role": "user", "content": "cake"}]}
    assert post(Settings(model_dir=directory), "/microgpt/v1/chat", body).json()["content"] == (
        "Call us."
    )


def test_a_model_of_few_questions_can_echo_a_prompt_of_tokens(directory) -> None:
    """As "Look inside" does when a token is drawn."""
    settings = Settings(model_dir=directory)
    body = {"prompt": [0, 1], "echo": True, "max_tokens": 0, "logprobs": 0}
    reply = post(settings, "/v1/completions", body)
    assert reply.status_code == 200, reply.text
    assert len(reply.json()["choices"][0]["logprobs"]["tokens"]) == 2
    refused = post(settings, "/v1/completions", {"prompt": "a", "max_tokens": 1})
    assert "cannot continue a text" in refused.json()["error"]["message"]
