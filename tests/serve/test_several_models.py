"""Several models behind one service: names, requests, metrics."""

import logging
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from asgi import ask_app

from microgpt import save
from microgpt.errors import MicrogptError
from microgpt.storage.training_directory import TrainingDirectory
from microgpt_serve import ServiceSettings, create_app
from microgpt_serve.models import ServedModels

GENERATE = "/microgpt/v1/generate"


@pytest.fixture
def both(names_dir, talk_dir) -> ServiceSettings:
    return ServiceSettings(model_dir=(f"n={names_dir}", str(talk_dir)))


def test_the_model_of_a_request_answers_it(both, names_gpt, talk_gpt) -> None:
    asked = {"seed": 3, "prompt": "a", "max_tokens": 4}
    hi = [{"role": "user", "content": "hi"}]
    replies = ask_app(
        create_app(both),
        ("POST", GENERATE, {"json": {"seed": 3}}),
        ("POST", GENERATE, {"json": {"seed": 3, "model": "talk"}}),
        ("POST", "/v1/completions", {"json": {**asked, "model": "n"}}),
        ("POST", "/microgpt/v1/chat", {"json": {"messages": hi, "model": "talk"}}),
        ("POST", "/v1/chat/completions", {"json": {"messages": hi, "model": "talk", "seed": 42}}),
        ("POST", "/microgpt/v1/generate", {"json": {"model": "talk", "prompt": "Z"}}),
        ("GET", "/v1/models", {}),
        ("GET", "/metrics", {}),
    )
    assert [reply.status_code for reply in replies] == [200] * 5 + [400] + [200] * 2
    first, second, completion, chat, openai_chat = (reply.json() for reply in replies[:5])
    assert first["samples"] == names_gpt.generate(seed=3)
    assert second["samples"] == talk_gpt.generate(seed=3)
    assert completion["choices"][0]["text"] == names_gpt.generate(seed=3, prompt="a")[0][1:5]
    assert (completion["model"], openai_chat["model"]) == ("n", "talk")
    assert chat["content"] == openai_chat["choices"][0]["message"]["content"]
    listed, metrics = replies[6:]
    assert [each["id"] for each in listed.json()["data"]] == ["n", "talk"]
    for name in ("n", "talk"):
        assert re.search(rf'tokens_total{{model="{name}"}} [1-9]', metrics.text)


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("POST", "/v1/completions", {"json": {"model": "gpt-5"}}),
        ("POST", GENERATE, {"json": {"model": "gpt-5"}}),
        ("GET", "/?model=gpt-5", {}),
    ],
)
def test_an_unknown_model_gets_404_and_the_names(both, method, path, more) -> None:
    (reply,) = ask_app(create_app(both), (method, path, more))
    message = "model 'gpt-5' does not exist; use n or talk"
    openai = {"message": message, "type": "invalid_request_error", "param": "model"}
    body = {**openai, "code": "model_not_found"} if path.startswith("/v1/") else message
    assert (reply.status_code, reply.json()) == (404, {"error": body})


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("names=", "names= must be NAME=DIR, such as names=output"),
        ("names, a/names", "names and a/names have the same name, names; choose names with"),
        ("names,nowhere", "nowhere does not exist; use a directory"),
        (("",), "'' does not exist; use a directory"),
        ("names,bad", "bad/weights.json does not"),
    ],
)
def test_models_that_cannot_be_served_are_refused(
    names_dir, tmp_path, monkeypatch, given, problem
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("names", "a/names", "bad"):
        shutil.copytree(names_dir, place)
    Path("bad/weights.json").write_text("{}")
    with pytest.raises(MicrogptError, match=f"^{re.escape(problem)}"):
        ServedModels.load(ServiceSettings(model_dir=given))


def test_the_checkpoint_of_an_unfinished_training_is_served(tmp_path, names_result, caplog) -> None:
    caplog.set_level(logging.INFO, "microgpt_serve")
    directory, settings = tmp_path / "model", ServiceSettings(model_dir=str(tmp_path / "model"))
    result = replace(names_result, plan=replace(names_result.plan, input=Path("names.txt")))
    with TrainingDirectory(directory) as training:
        training.keep(result.plan, result.state)
        served = ServedModels.load(settings).find(None)
        training.finish(result)
    assert served.saved.progress == "at step 60 of 60"
    assert caplog.messages == [
        f"the training run in {directory} is unfinished; using its model at step 60 of 60"
    ]
    ended = ServedModels.load(settings).find(None)
    assert (ended.saved.progress, len(caplog.messages)) == (None, 1)
    assert ended.version != served.version


def test_a_context_that_takes_too_much_memory_is_shortened(tmp_path, names_result, caplog) -> None:
    caplog.set_level(logging.INFO, "microgpt_serve")
    config = replace(names_result.model, architecture="modern", block_size=10**6)
    weights = {name: rows for name, rows in names_result.weights.items() if name != "wpe"}
    save(replace(names_result, model=config, weights=weights), tmp_path / "long")
    served = ServedModels.load(ServiceSettings(model_dir=str(tmp_path / "long"))).find(None)
    length = served.gpt.config.block_size
    assert 2**14 < length < 2**18
    assert caplog.messages == [
        f"the context of 1,000,000 tokens is too long; using {length:,} tokens"
    ]
