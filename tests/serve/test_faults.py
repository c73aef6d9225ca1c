import asyncio
import json
import re
import threading
from types import SimpleNamespace

import pytest

from microgpt import InferenceGpt
from microgpt.config import Sampling
from microgpt.errors import ConfigError
from microgpt_serve import batch_scheduler
from microgpt_serve.batch_scheduler import MAX_LARGE, BatchScheduler
from microgpt_serve.errors import QueueFullError
from microgpt_serve.middleware.access_log import AccessLogMiddleware
from microgpt_serve.server import set_up_logs


class BrokenBatch:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def run(self):
        raise self.error


@pytest.mark.parametrize(
    "error", [ValueError("x"), ConfigError("x"), StopIteration(), SystemExit()]
)
def test_the_worker_thread_survives_any_error_of_the_engine(
    monkeypatch, names_result, error
) -> None:
    monkeypatch.setattr(batch_scheduler, "n_cpus", lambda: 1)
    model = InferenceGpt(names_result)

    async def ask() -> None:
        work = BatchScheduler(8)
        work.start()
        with monkeypatch.context() as broken:
            broken.setattr(model.engine_model, "batch", lambda jobs: BrokenBatch(error))
            faults = [work.submit(model, model.text_job()).result for _ in range(2)]
            outcomes = await asyncio.wait_for(asyncio.gather(*faults, return_exceptions=True), 30)
        assert [type(one) for one in outcomes] == [RuntimeError] * 2
        assert outcomes[0].__cause__ is error
        (good,) = await asyncio.wait_for(work.submit(model, model.text_job()).result, 30)
        assert good.tokens
        work.close()
        assert not any(each.name.startswith("generation") for each in threading.enumerate())

    asyncio.run(ask())


def test_two_threads_run_two_batches_at_the_same_time(monkeypatch, names_result) -> None:
    together, n_runs = threading.Barrier(2), []
    model = InferenceGpt(names_result)
    new_batch = model.engine_model.batch

    def meeting(jobs):
        def run():
            n_runs.append(together.wait(30))  # in vain if one thread had both
            return type(batch).run(batch)

        batch = new_batch(jobs)
        batch.run = run
        return batch

    monkeypatch.setattr(model.engine_model, "batch", meeting)
    monkeypatch.setattr(batch_scheduler, "n_cpus", lambda: 2)

    async def ask() -> None:
        work = BatchScheduler(8)
        work.start()
        await asyncio.sleep(0.2)  # both wait by now
        jobs = [model.text_job(sampling=Sampling(heat)) for heat in (0.5, 0.6)]
        outcomes = await asyncio.gather(*[work.submit(model, job).result for job in jobs])
        assert all(one.tokens for (one,) in outcomes)
        assert len(n_runs) >= 2
        work.close()

    asyncio.run(ask())


def test_small_requests_take_up_less_of_the_queue(names_result) -> None:
    model = InferenceGpt(names_result)

    async def ask() -> None:
        work = BatchScheduler(64)
        work.loop = asyncio.get_running_loop()  # no threads: all wait
        large = [work.submit(model, model.text_job(50, max_tokens=16_384)) for _ in range(50)]
        small = [work.submit(model, model.text_job()) for _ in range(14 * 64)]
        with pytest.raises(QueueFullError):
            work.submit(model, model.text_job())
        await asyncio.sleep(0)
        work.cancel(large[0])
        assert work.submit(model, model.text_job())
        for request in (*large, *small):
            work.cancel(request)

    asyncio.run(ask())


def order_of_batches(model, jobs) -> list[int]:
    """The index of the first job of each batch, in the order in which one thread begins them."""

    async def ask() -> list[int]:
        work = BatchScheduler(64)
        work.loop = asyncio.get_running_loop()  # no threads: all wait
        requests = [work.submit(model, job) for job in jobs]
        work._flush()
        batches, turn = [], batch_scheduler._BatchOrder()
        for _ in range(3 * len(jobs)):
            if taken := work._take(batches, turn):
                batches.append(SimpleNamespace(is_large=taken[0].is_large, first=taken[0]))
        assert work.n_waiting == len(jobs) - len(batches)
        return [requests.index(batch.first) for batch in batches]

    return asyncio.run(ask())


def test_small_and_large_requests_take_turns(names_result) -> None:
    model = InferenceGpt(names_result)
    large = [model.text_job(50, max_tokens=2000 + i) for i in range(9)]
    small = [model.text_job(max_tokens=1 + i) for i in range(2)]
    assert order_of_batches(model, [*large, *small]) == [9, 0, 10, 1, 2, 3]
    assert MAX_LARGE == 4


def test_a_small_request_waits_for_at_most_one_turn() -> None:
    turn, large, small = batch_scheduler._BatchOrder(), object(), object()
    assert turn.next([large], [], is_busy=False) is large
    assert turn.next([large, small], [small], is_busy=True) is small
    assert turn.next([large, small], [small], is_busy=True) is None  # a running batch goes on
    assert turn.next([large, small], [small], is_busy=True) is small
    assert turn.next([large, small], [small], is_busy=True) is large


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
    asyncio.run(
        AccessLogMiddleware(app, lambda *facts: counted.append(facts[1]))(scope, None, send)
    )
    assert counted == [500]
    assert (b"x-request-id", b"mine") in sent[0]["headers"]
    assert json.loads(sent[1]["body"]) == {
        "error": "internal server error; see the log of the service"
    }
    fault, *_, access = capfd.readouterr().err.splitlines()
    assert fault.endswith("error: internal error in request mine")
    assert re.search(r"GET /health 500 [0-9.]+ms mine$", access)
