import asyncio
import json
from types import SimpleNamespace

import pytest

from microgpt import InferenceGpt, Message, Sampling, TrainConfig, load, save
from microgpt.evaluation.edits import Edits, WeightEdit
from microgpt.evaluation.explanation import explain
from microgpt.training.train import train
from microgpt_serve.errors import ServeError
from microgpt_serve.routes.edited_model import MAX_EDITED
from microgpt_serve.routes.explain import ExplainRequest
from microgpt_serve.routes.explain import explain as route

PAGE = "/microgpt/v1/explain"


def test_explain_returns_the_same_result_as_the_library(names, names_gpt) -> None:
    body = {"text": "anna", "top": 3, "attention": [[0, 0]], "position": -1}
    result = explain(names_gpt, "anna", n_alternatives=3, attention=[(0, 0)], position=-1)
    assert names.request("POST", PAGE, body).json == json.loads(json.dumps(result.facts()))


def test_explain_changes_the_model_for_one_request(names, names_gpt) -> None:
    body = {"text": "anna", "without_heads": [[0, 1]], "without_mlps": [0], "position": 1}
    body |= {"weights": [{"matrix": "wte", "row": 0, "column": 1}]}
    edits = Edits([(0, 1)], [0], weights=[WeightEdit("wte", 0, 1)])
    result = explain(names_gpt, "anna", position=1, edits=edits)
    before = names.request("POST", PAGE, {"text": "anna"}).json
    assert names.request("POST", PAGE, body).json == json.loads(json.dumps(result.facts()))
    assert names.request("POST", PAGE, {"text": "anna"}).json == before


def test_running_text_is_explained_without_an_end_token(serve, tmp_path) -> None:
    save(train(["anna" * 20], config=TrainConfig(steps=5, text="stream")), tmp_path / "stream")
    model = load(tmp_path / "stream")
    reply = serve(tmp_path / "stream").request("POST", PAGE, {"text": "anna", "position": -1})
    wanted = explain(InferenceGpt(model), "anna", position=-1, text_kind="stream")
    assert reply.json == json.loads(json.dumps(wanted.facts()))
    assert reply.json["n_scored"] == 4


def test_a_conversation_can_be_explained(talk, talk_gpt) -> None:
    messages = [("system", "be kind"), ("user", "hi"), ("assistant", "yo")]
    body = {"messages": [{"role": role, "content": content} for role, content in messages]}
    wanted = explain(talk_gpt, [Message("user", "hi"), Message("assistant", "yo")])
    assert talk.request("POST", PAGE, body).json == json.loads(json.dumps(wanted.facts()))


def test_explain_and_chat_read_a_conversation_the_same_way(talk, talk_gpt) -> None:
    talked = ["Hi", "yo man", "hi there", "yo man", "HI, there", "yo"]  # more than the context
    roles = ("user", "assistant")
    body = {"messages": [{"role": roles[i % 2], "content": one} for i, one in enumerate(talked)]}
    found = talk.request("POST", PAGE, body).json
    reply = talk.chat(*talked[:-1]).json
    assert (found["tokens_dropped"], found["unknown_characters"]) == (12, ",")
    assert reply["tokens_dropped"] == 12
    prompt = talk_gpt.chat_prompt([Message(roles[i % 2], one) for i, one in enumerate(talked[:-1])])
    read = [*prompt.tokens, *talk_gpt.tokenizer.encode("yo")]
    assert found["read"] == [talk_gpt.tokenizer.label(token) for token in read]


def test_explaining_an_unreadable_last_reply_is_refused(talk) -> None:
    user = {"role": "user", "content": "hi, you"}
    for reply, problem in (("q", "does not contain 'q'"), ("yo" * 2048, "4101 characters")):
        body = {"messages": [user, {"role": "assistant", "content": reply}]}
        refused = talk.request("POST", PAGE, body)
        assert refused.status == 400
        assert problem in refused.json["error"]


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
        ({"text": "anna", "without_heads": [[0, 99]]}, "head must be at most"),
        ({"text": "anna", "without_mlps": [-1]}, "without_mlps"),
        ({"text": "anna", "without_mlps": 3}, "without_mlps must be a list, got 3"),
        ({"text": "anna", "weights": [{"matrix": "wxe", "row": 0, "column": 0}]}, "no matrix 'wxe"),
        ({"text": "anna", "weights": [{"matrix": "wte", "row": 0}]}, "column"),
    ],
)
def test_invalid_explain_requests_are_refused(names, body, problem) -> None:
    reply = names.request("POST", PAGE, body)
    assert reply.status == 400
    assert problem in reply.json["error"]


def test_backward_and_ablations_equal_those_of_the_library(names, names_gpt) -> None:
    body = {"text": "anna", "position": 2, "ablations": True, "backward": ["layer0.attn_wq", 3, 5]}
    wanted = explain(
        names_gpt, "anna", position=2, ablations=True, backward=("layer0.attn_wq", 3, 5)
    )
    assert names.request("POST", PAGE, body).json == json.loads(json.dumps(wanted.facts()))


def test_training_steps_and_edits_change_samples_and_replies(
    names, names_gpt, talk, talk_gpt
) -> None:
    learn = [{"text": "anna"}] * 3
    learned = names_gpt.edited(Edits(learn=["anna"] * 3))
    after = names.request("POST", PAGE, {"text": "anna", "learn": learn}).json
    assert after["bits"] == explain(learned, "anna").bits < explain(names_gpt, "anna").bits
    body = {"num_samples": 3, "seed": 7}
    path = "/microgpt/v1/generate"
    samples = names.request("POST", path, {**body, "learn": learn}).json["samples"]
    assert samples == learned.generate(3, seed=7)
    assert names.request("POST", path, body).json["samples"] == names_gpt.generate(3, seed=7)
    messages = [{"role": "user", "content": "hi"}]
    body = {"messages": messages, "without_mlps": [0], "temperature": 3, "seed": 5}
    reply = talk.request("POST", "/microgpt/v1/chat", body).json["content"]
    changed = talk_gpt.edited(Edits(without_mlps=[0]))
    assert reply == changed.chat("hi", sampling=Sampling(3), seed=5).content
    learn = [{"messages": [*messages, {"role": "assistant", "content": "hi"}]}]
    found = talk.request("POST", PAGE, {"messages": messages, "learn": learn}).json
    document = [Message("user", "hi"), Message("assistant", "hi")]
    assert found["bits"] == explain(talk_gpt, "hi", edits=Edits(learn=[document])).bits


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"text": "anna", "backward": ["wtf", 0, 0]}, "the model has no matrix 'wtf'"),
        ({"text": "anna", "learn": [{"text": "anna" * 9}]}, "a step takes up to 16 tokens"),
        ({"text": "anna", "learn": [{}]}, "pass either text or messages"),
        ({"text": "anna" * 9, "ablations": True}, "the text has 37 tokens"),
    ],
)
def test_an_impossible_training_step_gets_a_400_response(names, body, message) -> None:
    reply = names.request("POST", PAGE, body)
    assert (reply.status, message in reply.json["error"]) == (400, True), reply.json


@pytest.mark.parametrize("body", [{"ablations": True}, {"backward": ("wte", 0, 0)}])
def test_a_model_too_large_to_edit_is_refused(names_gpt, body) -> None:
    gpt = SimpleNamespace(num_params=MAX_EDITED + 1, config=names_gpt.config)
    state = SimpleNamespace(model_of=lambda request, name: SimpleNamespace(gpt=gpt))
    with pytest.raises(ServeError, match="the model is too large to change it"):
        asyncio.run(route(ExplainRequest(text="anna", **body), None, state))
