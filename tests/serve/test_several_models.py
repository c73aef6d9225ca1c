"""Several models behind one service: names, requests, readiness, metrics, reloads."""

import asyncio
import re
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from asgi import ask_app
from json_files import edit

from microgpt import InferenceGpt, TrainConfig, save
from microgpt.errors import ConfigError, MicrogptError
from microgpt.training.train import train
from microgpt_serve import Settings, create_app, served_models
from microgpt_serve.served_models import ServedModels

GENERATE = "/microgpt/v1/generate"
KEY = {"Authorization": "Bearer secret"}


@pytest.fixture
def folder(names_dir, talk_dir, tmp_path) -> Path:
    """A directory with the models `names` and `talk`, and with a damaged one."""
    for directory in (names_dir, talk_dir):
        shutil.copytree(directory, tmp_path / "models" / directory.name)
    shutil.copytree(names_dir, tmp_path / "models/bad")
    (tmp_path / "models/bad/weights.json").write_text("{}")
    (tmp_path / "models/charts").mkdir()
    return tmp_path / "models"


@pytest.fixture
def both(names_dir, talk_dir) -> Settings:
    return Settings(model_dir=(f"n={names_dir}", str(talk_dir)))


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
        ("POST", "/microgpt/v1/score", {"json": {"texts": ["anna"]}}),
        ("POST", "/microgpt/v1/score", {"json": {"texts": ["anna"], "model": "talk"}}),
        ("GET", "/health", {"params": {"model": "talk"}}),
        ("GET", "/v1/models", {}),
        ("GET", "/v1/models/talk", {}),
        ("GET", "/metrics", {}),
    )
    assert [reply.status_code for reply in replies] == [200] * 6 + [400] + [200] * 4
    first, second, completion, chat, openai_chat, *_ = map(_json, replies)
    assert first["samples"] == names_gpt.generate(seed=3)
    assert second["samples"] == talk_gpt.generate(seed=3)
    assert completion["choices"][0]["text"] == names_gpt.generate(seed=3, prompt="a")[0][1:5]
    assert (completion["model"], openai_chat["model"]) == ("n", "talk")
    assert chat["content"] == openai_chat["choices"][0]["message"]["content"]
    health, listed, one, metrics = replies[7:]
    assert health.json()["model"] == one.json()["id"] == "talk"
    assert [each["id"] for each in listed.json()["data"]] == ["n", "talk"]
    for model_name, status, n in (("n", 200, 3), ("talk", 200, 3), ("talk", 400, 1)):
        line = f'requests_total{{model="{model_name}",status="{status}"}} {n}.0'
        assert f"microgpt_model_{line}" in metrics.text
    assert re.search(rf'tokens_total{{model="talk",route="{GENERATE}"}} [1-9]', metrics.text)


def _json(reply) -> dict:
    return reply.json() if reply.headers["content-type"] == "application/json" else {}


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("POST", "/v1/completions", {"json": {"model": "gpt-5"}}),
        ("POST", GENERATE, {"json": {"model": "gpt-5"}}),
        ("GET", "/?model=gpt-5", {}),
        ("GET", "/v1/models/gpt-5", {}),
        ("GET", "/health?model=gpt-5", {}),
    ],
)
def test_an_unknown_model_gets_404_and_the_names(both, method, path, more) -> None:
    (reply,) = ask_app(create_app(both), (method, path, more))
    message = "model 'gpt-5' does not exist; use n or talk"
    openai = {"message": message, "type": "invalid_request_error", "param": "model"}
    body = {**openai, "code": "model_not_found"} if path.startswith("/v1/") else message
    assert (reply.status_code, reply.json()) == (404, {"error": body})


def test_a_single_model_answers_to_any_name_of_openai(names_dir) -> None:
    app = create_app(Settings(model_dir=str(names_dir)))
    body = {"model": "gpt-5", "prompt": "a"}
    openai, own = ask_app(
        app, *(("POST", p, {"json": body}) for p in ("/v1/completions", GENERATE))
    )
    assert (openai.status_code, openai.json()["model"]) == (200, "names")
    assert (own.status_code, own.json()["error"]) == (
        404,
        "model 'gpt-5' does not exist; use names",
    )


def test_the_others_serve_if_a_model_is_damaged(folder, caplog) -> None:
    models = ServedModels.load(Settings(model_dir=str(folder)))
    (problem,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert problem.startswith(f"the model bad cannot be loaded: {folder}/bad/weights.json does not")
    app = create_app(Settings(), models)
    listed, ready, health, default, bad, names = ask_app(
        app,
        ("GET", "/v1/models", {}),
        ("GET", "/ready", {}),
        ("GET", "/health", {}),
        ("POST", GENERATE, {"json": {"seed": 1}}),
        ("POST", "/v1/completions", {"json": {"model": "bad"}}),
        ("POST", GENERATE, {"json": {"seed": 1, "model": "names"}}),
    )
    assert [each["id"] for each in listed.json()["data"]] == ["names", "talk"]
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "failed": ["bad"]})
    assert (health.status_code, health.json()["model"]) == (200, "names")
    told = "the model bad could not be loaded; see the log of the service"
    assert (default.status_code, default.json()) == (200, names.json())  # the first that is loaded
    assert (bad.status_code, bad.json()["error"]["message"]) == (503, told)
    assert names.status_code == 200


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (("=names",), "=names must be NAME=DIR, such as names=output"),
        ("names=", "names= must be NAME=DIR, such as names=output"),
        ("names, a/names", "names and a/names have the same name, names; choose names with"),
        (("x=names", "x=talk"), "names and talk have the same name, x; choose names with NAME=DIR"),
        ("names,nowhere", "nowhere does not exist; use a directory"),
        ("names,x=/nowhere", "/nowhere does not exist; use a directory"),
        (",", ", does not exist"),
        (("",), "'' does not exist; use a directory"),
        ("bad,worse", "none of the 2 models can be loaded; see the log"),
    ],
)
def test_models_that_cannot_be_served_are_refused(folder, monkeypatch, given, problem) -> None:
    monkeypatch.chdir(folder)
    shutil.copytree("names", "a/names")
    shutil.copytree("bad", "worse")
    with pytest.raises(MicrogptError, match=f"^{re.escape(problem)}"):
        ServedModels.load(Settings(model_dir=given))


def test_models_that_do_not_fit_into_memory_are_refused(both, monkeypatch) -> None:
    monkeypatch.setattr("microgpt.resource_limits.free_bytes", lambda: 2**10)
    monkeypatch.setattr("microgpt.resource_limits.NEGLIGIBLE", 0)
    told = r"serving 2 models needs [0-9,]+ bytes of memory, but only 1,024 are free; serve fewer"
    with pytest.raises(ConfigError, match=told):
        ServedModels.load(both)


def test_a_key_is_needed_to_reload_a_model(names_dir, talk_dir, tmp_path) -> None:
    directory = shutil.copytree(names_dir, tmp_path / "names")
    given = (str(directory), str(talk_dir))
    path, body = "/microgpt/v1/reload", {"json": {"model": "names"}}
    (refused,) = ask_app(create_app(Settings(model_dir=given)), ("POST", path, body))
    told = "a service without API keys reloads its models only on SIGHUP; set a key"
    assert (refused.status_code, refused.json()["error"]) == (403, told)
    app = create_app(Settings(model_dir=given, api_key="secret"))
    state = app.state.app_state
    old = state.models.loaded
    save(train(["xyz"], config=TrainConfig(steps=1)), directory)
    wrong, done, unknown = ask_app(
        app,
        ("POST", path, body),
        ("POST", path, {**body, "headers": KEY}),
        ("POST", path, {"json": {"model": "x"}, "headers": KEY}),
    )
    assert [wrong.status_code, done.status_code, unknown.status_code] == [401, 200, 404]
    names, talk = state.models.loaded
    assert done.json() == {"status": "ok", "model": "names", "version": names.version}
    assert (names.version != old[0].version, talk) == (True, old[1])
    edit(directory / "meta.json", vocab_size=1)
    failed, ready = ask_app(
        app, ("POST", path, {**body, "headers": KEY}), ("GET", "/ready", {"headers": KEY})
    )
    assert (failed.status_code, ready.json()["failed"]) == (503, ["names"])
    assert failed.json()["error"] == "the model names could not be reloaded; see the log"
    assert state.models.loaded == [names, talk]


def test_a_reload_by_name_adds_and_removes_models(folder, caplog) -> None:
    app = create_app(Settings(model_dir=str(folder), api_key="secret"))
    shutil.rmtree(folder / "names")
    shutil.copytree(folder / "talk", folder / "later")  # not asked for
    shutil.copytree(folder / "talk", folder / "new")
    shutil.copytree(folder / "bad", folder / "worse")
    path, asked = "/microgpt/v1/reload", ("names", "new", "worse", "bad")
    requests = [("POST", path, {"json": {"model": name}, "headers": KEY}) for name in asked]
    *replies, ready, metrics = ask_app(
        app, *requests, ("GET", "/ready", {"headers": KEY}), ("GET", "/metrics", {"headers": KEY})
    )
    assert [reply.status_code for reply in replies] == [404, 200, 503, 503]
    assert list(app.state.app_state.models.by_name) == ["bad", "new", "talk", "worse"]
    assert ready.json()["failed"] == ["bad", "worse"]
    assert caplog.text.count("; bad is not served") == 1
    assert 'microgpt_reloads_total{model="bad",result="ok"} 0' in metrics.text
    for result in ("ok", "failed"):
        assert f'microgpt_reloads_total{{model="talk",result="{result}"}} 0' in metrics.text
    shutil.rmtree(folder)
    (gone,) = ask_app(app, requests[1])
    assert gone.status_code == 503


@pytest.mark.parametrize("given", ["both", "talk, gone", "talk, x=gone", "talk, both"])
def test_a_missing_model_does_not_keep_others_from_reloading(
    folder, monkeypatch, caplog, given
) -> None:
    monkeypatch.chdir(folder)
    for directory in ("gone", "both/names"):
        shutil.copytree("names", directory)
    app = create_app(Settings(model_dir=given, api_key="secret"))
    state = app.state.app_state
    old = dict(state.models.by_name)
    shutil.rmtree("gone")
    shutil.rmtree("both")
    asyncio.run(state.reloader.reload())
    assert list(state.models.by_name) == list(old)  # none is removed
    assert "does not exist" in caplog.text
    for name, model in state.models.by_name.items():
        assert (model is not old[name]) == (name == "talk")
    assert state.models.failed
    shutil.copytree("names", "gone")
    shutil.copytree("names", "both/names")
    asyncio.run(state.reloader.reload())
    assert not state.models.failed
    assert list(state.models.by_name) == list(old)


@pytest.mark.slow
def test_a_directory_of_models_is_read_again_on_sighup(serve, folder) -> None:
    server = serve(folder)
    server.wait_for("serving names .* and talk .* at")
    shutil.rmtree(folder / "talk")
    shutil.copytree(folder / "names", folder / "new")
    shutil.rmtree(folder / "bad")
    server.signal(signal.SIGHUP)
    server.wait_for("reloaded: new")
    assert server.generate(model="new").status == 200
    for _ in range(100):
        if server.get("/ready").json["failed"] == []:
            break
    assert [each["id"] for each in server.get("/v1/models").json["data"]] == ["names", "new"]
    assert 'microgpt_model_info{name="talk"' not in server.get("/metrics").body.decode()


@pytest.mark.slow
def test_reloading_one_of_five_models_drops_no_request(serve, names_dir, tmp_path) -> None:
    names = [shutil.copytree(names_dir, tmp_path / f"models/m{i}").name for i in range(5)]
    server = serve(tmp_path / "models", MICROGPT_API_KEY="secret")
    new = train(["xyz", "zyx"], config=TrainConfig(steps=30))
    old = InferenceGpt(served_models.load(names_dir)).generate(3)
    texts = {tuple(old), tuple(InferenceGpt(new).generate(3))}

    def ask(i: int) -> tuple[str, int, tuple[str, ...]]:
        body = {"model": names[i % 5], "num_samples": 3}
        reply = server.request("POST", GENERATE, body, Authorization="Bearer secret")
        return names[i % 5], reply.status, tuple(reply.json["samples"])

    with ThreadPoolExecutor(4) as clients:
        wanted = [clients.submit(ask, i) for i in range(200)]
        save(new, tmp_path / "models/m2")
        reply = server.request(
            "POST", "/microgpt/v1/reload", {"model": "m2"}, Authorization="Bearer secret"
        )
        replies = [one.result() for one in wanted]
    assert (reply.status, {status for _, status, _ in replies}) == (200, {200})
    assert {found for name, _, found in replies if name != "m2"} == {tuple(old)}
    assert {found for name, _, found in replies if name == "m2"} <= texts
    assert ask(2)[2] == tuple(InferenceGpt(new).generate(3))
