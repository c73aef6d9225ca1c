import asyncio
import logging
import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from microgpt import InferenceGpt, save
from microgpt.engine.decoding.decoder import context_bytes
from microgpt.storage.training_directory import TrainingDirectory
from microgpt_serve import reload
from microgpt_serve.app_state import AppState
from microgpt_serve.served_model import ServedModel
from microgpt_serve.served_models import ServedModels
from microgpt_serve.settings import Settings


class PanicException(BaseException):
    """As the tokenizers library raises it."""


@pytest.fixture
def model(names_result) -> ServedModel:
    return ServedModel("old", "0", InferenceGpt(names_result), None)


def reloads(state: AppState) -> tuple[int, int]:
    """Return how many reloads have worked, and how many have failed."""
    text = generate_latest(state.metrics.registry).decode()
    ok, failed = (
        rf'microgpt_reloads_total{{model=".*",result="{result}"}} (.*)'
        for result in ("ok", "failed")
    )
    return tuple(int(sum(map(float, re.findall(name, text)))) for name in (ok, failed))


class Hanging:
    """What hangs for longer than a reload may take, and returns late."""

    def __init__(self, result) -> None:
        self.result = result
        self.go_on, self.has_ended = threading.Event(), threading.Event()

    def __call__(self, *args, **options):
        self.go_on.wait(30)
        self.has_ended.set()
        return self.result


def reload_twice(state: AppState, monkeypatch, hanging: Hanging, place, name: str, then) -> None:
    """Reload while `place.name` hangs, and again while it does not; then let it return."""

    async def run() -> None:
        reloader = state.reloader
        monkeypatch.setattr(reload, "RELOAD_S", 0.05)
        monkeypatch.setattr(place, name, hanging)
        async with asyncio.timeout(10):
            await reloader.reload()
        monkeypatch.setattr(reload, "RELOAD_S", 30)
        monkeypatch.setattr(place, name, then)
        await reloader.reload()
        hanging.go_on.set()
        await asyncio.to_thread(hanging.has_ended.wait, 30)
        await asyncio.sleep(0.05)

    asyncio.run(run())


def test_a_hanging_reload_is_abandoned_and_the_next_one_works(monkeypatch, caplog, model) -> None:
    state = AppState(Settings(), model, [])
    new, late = (ServedModel(name, "1", model.gpt, None) for name in ("new", "late"))
    with caplog.at_level(logging.INFO, "microgpt_serve"):
        hanging, then = Hanging(late), lambda *args, **options: new
        reload_twice(state, monkeypatch, hanging, reload, "load_source", then)
    assert state.models.loaded == [new]
    assert reloads(state) == (1, 1)
    assert caplog.messages[0].startswith("reload failed: timed out after 0.05 s; old (text, ")
    assert caplog.messages[0].endswith(" is still served")
    assert caplog.messages[1].startswith("reloaded: new")


def test_a_late_reload_does_not_restore_a_removed_key(monkeypatch, model, tmp_path) -> None:
    file = tmp_path / "keys"
    file.write_text("old\n")
    file.chmod(0o600)
    state = AppState(Settings(api_keys_file=str(file)), model, [])
    monkeypatch.setattr(reload, "load_source", lambda *args, **options: model)
    hanging, read = Hanging(state.keys.read()), state.keys.read
    file.write_text("new\n")
    reload_twice(state, monkeypatch, hanging, state.keys, "read", read)
    assert state.keys.find(b"new")
    assert not state.keys.find(b"old")


@pytest.mark.parametrize(
    "error", [PanicException("x"), SystemExit(), StopIteration(), OSError("x")]
)
def test_any_error_during_a_reload_is_logged(monkeypatch, caplog, model, error) -> None:
    caplog.set_level(logging.ERROR, reload.LOG.name)
    state = AppState(Settings(), model, [])
    reloader = state.reloader

    def fail(*args, **options):
        raise error

    async def run() -> None:
        monkeypatch.setattr(reload, "load_source", fail)
        async with asyncio.timeout(10):
            await reloader.reload()
        monkeypatch.setattr(reload, "load_source", lambda *args, **options: model)
        await reloader.reload()

    asyncio.run(run())
    assert reloads(state) == (1, 1)
    assert caplog.messages == [
        f"reload failed: {type(error).__name__}: {error}; {model} is still served"
    ]


def test_a_finished_model_replaces_the_served_checkpoint(tmp_path, names_result, caplog) -> None:
    caplog.set_level(logging.INFO, "microgpt_serve")
    directory, settings = tmp_path / "model", Settings(model_dir=str(tmp_path / "model"))
    result = replace(names_result, plan=replace(names_result.plan, input=Path("names.txt")))
    with TrainingDirectory(directory) as training:
        training.keep(result.plan, result.state)
        served = ServedModels.load(settings).loaded[0]
        training.finish(result)
    assert served.saved.progress == "at step 60 of 60"
    assert caplog.messages == [
        f"the training run in {directory} is unfinished; using its model at step 60 of 60"
    ]
    ended = ServedModels.load(settings).loaded[0]
    assert (ended.saved.progress, len(caplog.messages)) == (None, 1)
    assert ended.version != served.version


def test_a_context_that_takes_too_much_memory_is_shortened(tmp_path, names_result, caplog) -> None:
    caplog.set_level(logging.INFO, "microgpt_serve")
    config = replace(names_result.model, positions="rotary", block_size=10**8)
    weights = {name: rows for name, rows in names_result.weights.items() if name != "wpe"}
    save(replace(names_result, model=config, weights=weights), tmp_path / "long")
    served = ServedModels.load(Settings(model_dir=str(tmp_path / "long"))).loaded[0]
    length = served.gpt.config.block_size
    assert 2**24 < context_bytes(served.gpt.config, served.gpt.compiled.dtype) <= 2**25
    told = "the context of 100,000,000 tokens would take 103,760 MiB"
    assert caplog.messages == [f"{told}; using {length:,} tokens"]
