import asyncio
import json
import threading

import pytest

from microgpt import InferenceGpt
from microgpt.errors import ConfigError
from microgpt_serve import scheduler
from microgpt_serve.observability import RequestLog, set_up_logs
from microgpt_serve.scheduler import BatchScheduler
from microgpt_serve.service_errors import QueueFullError


class BrokenBatch:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def run(self):
        raise self.error


@pytest.mark.parametrize(
    "error", [ValueError("x"), ConfigError("x"), StopIteration(), SystemExit()]
)
def test_the_worker_thread_survives_errors_of_the_engine(monkeypatch, names_result, error) -> None:
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
        work.close()
        assert not any(each.name.startswith("generation") for each in threading.enumerate())

    asyncio.run(ask())


def test_small_requests_take_up_less_of_the_queue(names_result) -> None:
    model = InferenceGpt(names_result)

    async def ask() -> None:
        work = BatchScheduler(64)
        work.loop = asyncio.get_running_loop()  # no threads: all wait
        large = [work.submit(model, model.text_job(50, max_tokens=16_384)) for _ in range(50)]
        for _ in range(14 * 64):
            work.submit(model, model.text_job())
        with pytest.raises(QueueFullError):
            work.submit(model, model.text_job())
        await asyncio.sleep(0)
        work.cancel(large[0])
        assert work.submit(model, model.text_job())

    asyncio.run(ask())


def test_every_second_request_that_starts_is_a_small_one(monkeypatch, names_result) -> None:
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


def test_every_second_turn_of_running_batches_is_for_the_oldest(monkeypatch, names_result) -> None:
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


def test_an_internal_error_gets_a_500_with_the_request_id(capfd, own_logs) -> None:
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
