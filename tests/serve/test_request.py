"""Tests of queued requests: long bodies, disconnections, timeouts, worker errors, scheduling."""

import asyncio
import json
import threading
from functools import partial
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from starlette.requests import ClientDisconnect

from microgpt import InferenceGpt
from microgpt.errors import ConfigError
from microgpt_serve import scheduler
from microgpt_serve.models import ServedModels
from microgpt_serve.observability import RequestLog, set_up_logs
from microgpt_serve.request import MAX_INLINE_BYTES, Service
from microgpt_serve.scheduler import QUEUE_LIMIT, BatchScheduler
from microgpt_serve.service_errors import QueueFullError, ServeError
from microgpt_serve.service_settings import ServiceSettings

LONG = MAX_INLINE_BYTES + 1


def service_with(directory) -> Service:
    settings = ServiceSettings(model_dir=str(directory))
    return Service(settings, ServedModels.load(settings), [])


def http_request(
    *, leaves: bool = False, n_bytes: int = LONG, timeout_s: float = 30
) -> SimpleNamespace:
    """Return an HTTP request as the queue sees it; with `leaves`, its client has disconnected."""

    async def is_disconnected() -> bool:
        return leaves

    now = asyncio.get_running_loop().time()
    scope = {"deadline": now + timeout_s, "look_at": now, "n_bytes": n_bytes}
    return SimpleNamespace(scope=scope, is_disconnected=is_disconnected)


def test_only_long_requests_are_refused_while_too_many_wait(names_dir) -> None:
    go_on = threading.Event()

    async def ask() -> None:
        service = service_with(names_dir)
        works = [
            asyncio.ensure_future(service.run(http_request(), partial(go_on.wait, 30)))
            for _ in range(QUEUE_LIMIT)
        ]
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError) as full:
            await service.run(http_request(), Mock())
        assert (full.value.status_code, full.value.headers) == (503, {"retry-after": "1"})
        assert await service.run(http_request(n_bytes=1), lambda: "short") == "short"
        works[1].cancel()
        await asyncio.sleep(0)
        last = asyncio.ensure_future(service.run(http_request(), lambda: "done"))
        go_on.set()
        assert await asyncio.wait_for(last, 30) == "done"
        service.close()

    asyncio.run(ask())


@pytest.mark.parametrize(("leaves", "error"), [(True, ClientDisconnect), (False, ServeError)])
def test_a_waiting_request_ends_on_disconnection_or_timeout(names_dir, leaves, error) -> None:
    go_on, left_out = threading.Event(), Mock()

    async def ask() -> None:
        service = service_with(names_dir)
        running = asyncio.ensure_future(service.run(http_request(), partial(go_on.wait, 30)))
        await asyncio.sleep(0)
        asked = http_request(leaves=leaves, timeout_s=30 if leaves else 0.2)
        with pytest.raises(error):
            await service.run(asked, left_out)
        await asyncio.sleep(0)  # asyncio cancels the work in the next iteration of the event loop
        go_on.set()
        await asyncio.gather(running, return_exceptions=True)
        service.close()

    asyncio.run(ask())
    left_out.assert_not_called()


def test_an_error_in_the_worker_thread_fails_only_its_own_request(names_dir) -> None:
    async def ask() -> None:
        service = service_with(names_dir)
        with pytest.raises(ValueError, match="x"):
            await service.run(http_request(), Mock(side_effect=ValueError("x")))
        assert await service.run(http_request(), lambda: "done") == "done"
        service.close()

    asyncio.run(ask())


class BrokenBatch:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def run(self):
        raise self.error


@pytest.mark.parametrize(
    "error", [ValueError("x"), ConfigError("x"), StopIteration(), SystemExit()]
)
def test_the_worker_survives_engine_errors_until_closed(monkeypatch, names_result, error) -> None:
    monkeypatch.setattr(scheduler, "n_cpus", lambda: 1)
    model = InferenceGpt(names_result)

    async def ask() -> None:
        work = BatchScheduler(8)
        work.start()
        with monkeypatch.context() as broken:
            broken.setattr(model.engine_model, "batch", lambda jobs: BrokenBatch(error))
            faults = [work.submit(model, model.text_job()) for _ in range(2)]
            await asyncio.wait_for(asyncio.gather(*[each.ready for each in faults]), 30)
        for each in faults:
            with pytest.raises(RuntimeError) as fault:
                each.take()
            assert fault.value.__cause__ is error
        queued = work.submit(model, model.text_job())
        await asyncio.wait_for(queued.ready, 30)
        ((good,),) = queued.take()
        assert good.tokens
        assert not queued.ready.done()  # there is no output left
        work.close()
        assert not any(each.name.startswith("generation") for each in threading.enumerate())

    asyncio.run(ask())


def test_requests_occupy_the_queue_by_their_size_until_cancelled(names_result) -> None:
    model = InferenceGpt(names_result)

    async def ask() -> None:
        work = BatchScheduler(64)
        work.loop = asyncio.get_running_loop()  # no worker thread runs, so all requests wait
        large = [work.submit(model, model.text_job(50, max_tokens=16_384)) for _ in range(50)]
        for _ in range(14 * 64):
            work.submit(model, model.text_job())
        with pytest.raises(QueueFullError):
            work.submit(model, model.text_job())
        await asyncio.sleep(0)
        work.cancel(large[0])
        assert work.submit(model, model.text_job())

    asyncio.run(ask())


def test_small_and_large_requests_are_started_alternately(monkeypatch, names_result) -> None:
    monkeypatch.setattr(scheduler, "n_cpus", lambda: 1)
    model = InferenceGpt(names_result)
    jobs = [model.text_job(50, max_tokens=2000 + i) for i in range(9)]
    jobs += [model.text_job(max_tokens=1 + i) for i in range(2)]
    started, new_batch = [], model.engine_model.batch

    def start(batch):
        started.append(jobs.index(batch[0]))
        return new_batch(batch)

    monkeypatch.setattr(model.engine_model, "batch", start)

    async def ask() -> None:
        work = BatchScheduler(64)
        work.start()
        await asyncio.gather(*[work.submit(model, job).ready for job in jobs])
        work.close()

    asyncio.run(ask())
    assert started[:4] == [9, 0, 10, 1]


def test_every_batch_gets_turns_and_the_oldest_gets_half(monkeypatch, names_result) -> None:
    monkeypatch.setattr(scheduler, "n_cpus", lambda: 1)
    model = InferenceGpt(names_result)
    jobs = [model.text_job(50, max_tokens=2000 + i) for i in range(4)]
    turns, enough = list[int](), threading.Event()

    class Endless:
        def __init__(self, number: int) -> None:
            self.number = number

        def run(self) -> list[object]:
            turns.append(self.number)
            if len(turns) > 60:
                enough.set()
            return []

    monkeypatch.setattr(model.engine_model, "batch", lambda batch: Endless(jobs.index(batch[0])))

    async def ask() -> None:
        work = BatchScheduler(64)
        work.start()
        for job in jobs:
            work.submit(model, job)
        assert await asyncio.to_thread(enough.wait, 30)
        work.close()

    asyncio.run(ask())
    running = turns[-48:]
    assert running.count(turns[0]) >= 24
    assert all(running.count(number) >= 7 for number in range(4))


def test_an_internal_error_gets_a_500_and_is_logged_with_its_id(capfd, own_logs) -> None:
    counted, sent = [], []

    async def app(scope, receive, send) -> None:
        raise ValueError("/secret/path")

    async def send(message) -> None:
        sent.append(message)

    set_up_logs()
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/health",
        "headers": [(b"x-request-id", b"mine")],
    }
    asyncio.run(RequestLog(app, lambda *facts: counted.append(facts[1]))(scope, None, send))
    assert counted == [500]
    assert (b"x-request-id", b"mine") in sent[0]["headers"]
    assert json.loads(sent[1]["body"]) == {
        "error": "internal server error; see the log of the service"
    }
    fault, *_, last = capfd.readouterr().err.splitlines()
    assert fault.endswith("error: internal error mine")
    assert last.endswith("ValueError: /secret/path")
