"""POST /microgpt/v1/explain."""

import json

import pytest

from microgpt import InferenceGpt, Message, TrainConfig, load, save
from microgpt.evaluation.explanation import explain
from microgpt.training.train import train

PAGE = "/microgpt/v1/explain"


def test_it_is_the_explanation_of_the_library(names, names_gpt) -> None:
    body = {"text": "anna", "top": 3, "attention": [[0, 0]], "position": -1}
    result = explain(names_gpt, "anna", n_alternatives=3, attention=[(0, 0)], position=-1)
    assert names.request("POST", PAGE, body).json == json.loads(json.dumps(result.facts()))


def test_the_end_of_running_text_does_not_count(serve, tmp_path) -> None:
    save(train(["anna" * 20], config=TrainConfig(steps=5, text="stream")), tmp_path / "stream")
    model = load(tmp_path / "stream")
    reply = serve(tmp_path / "stream").request("POST", PAGE, {"text": "anna", "position": -1})
    wanted = explain(InferenceGpt(model), "anna", position=-1, text_kind="stream")
    assert reply.json == json.loads(json.dumps(wanted.facts()))
    assert reply.json["n_scored"] == 4


def test_a_conversation_is_explained(talk, talk_gpt) -> None:
    messages = [("system", "be kind"), ("user", "hi"), ("assistant", "yo")]
    body = {"messages": [{"role": role, "content": content} for role, content in messages]}
    wanted = explain(talk_gpt, [Message("user", "hi"), Message("assistant", "yo")])
    assert talk.request("POST", PAGE, body).json == json.loads(json.dumps(wanted.facts()))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "pass either text or messages"),
        ({"text": "anna", "messages": [{"role": "user", "content": "hi"}]}, "pass either"),
        ({"text": "a" * 5000}, "text"),
        ({"text": "ann9"}, "the vocabulary does not contain '9'"),
        ({"text": "anna", "top": 21}, "top"),
        ({"text": "anna", "attention": [[5, 0]]}, "layer must be"),
        ({"text": "anna", "attention": [[0, 0]] * 65}, "attention"),
        ({"text": "anna", "position": 9}, "position must be"),
        ({"text": "a" * 4096, "position": 0}, "attention and activations are available for up to"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "chat"),
    ],
)
def test_bad_requests_are_refused(names, body, problem) -> None:
    reply = names.request("POST", PAGE, body)
    assert reply.status == 400
    assert problem in reply.json["error"]
