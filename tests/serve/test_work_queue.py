import asyncio
import contextlib
import gc
import signal
import threading
import time
import weakref
from itertools import pairwise
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from microgpt import InferenceGpt
from microgpt.evaluation.scoring import Scorer
from microgpt_serve.app_state import AppState
from microgpt_serve.errors import QueueFullError, ServeError
from microgpt_serve.generation import run_steps
from microgpt_serve.routes.native import _score as score_steps
from microgpt_serve.routes.prompts import encode_messages
from microgpt_serve.schemas import ChatMessage, ScoreRequest
from microgpt_serve.served_model import ServedModel
from microgpt_serve.settings import Settings
from microgpt_serve.work_queue import TOKENS_PER_PLACE, TURN_S, WorkQueue, one_step

SCORE = "/microgpt/v1/score"


def steps_of(seconds: float, done=None):
    """Work for so long, in steps of a millisecond, until it is no longer asked to."""
    try:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.001)
            yield
    finally:
        if done:
            done.set()
    return "done"


def test_a_result_is_freed_without_the_garbage_collector() -> None:
    """Each reload loads a model in a queue of its own, and must not leave the last one."""

    async def ask() -> weakref.ref:
        queue = WorkQueue(1)
        result = await queue.submit(one_step(Mock), 0)
        queue.close()
        return weakref.ref(result)

    gc.disable()
    try:
        result = asyncio.run(ask())
        for thread in threading.enumerate():
            if thread.name == "work":
                thread.join(0.5)
        assert result() is None
    finally:
        gc.enable()


def test_a_small_job_does_not_wait_for_a_large_one() -> None:
    async def ask() -> None:
        queue = WorkQueue(64)
        large = queue.submit(steps_of(60), 1)
        assert await asyncio.wait_for(queue.submit(steps_of(0.01), 1), 30) == "done"
        assert not large.done()
        large.cancel()
        queue.close()

    asyncio.run(ask())


def test_a_waiting_job_leaves_the_queue_when_it_is_cancelled() -> None:
    async def ask() -> None:
        queue = WorkQueue(64)
        large = [queue.submit(steps_of(60), 1) for _ in range(2)]
        left = queue.submit(steps_of(1), 1)
        async with asyncio.timeout(30):
            while queue.n_waiting != 1:  # until both have had a turn
                await asyncio.sleep(0.001)
        left.cancel()
        await asyncio.sleep(0)
        assert queue.n_waiting == 0
        for one in large:
            one.cancel()
        queue.close()

    asyncio.run(ask())


def test_each_message_of_a_long_chat_counts_towards_the_queue() -> None:
    counted = Mock(side_effect=QueueFullError)
    state = SimpleNamespace(work=SimpleNamespace(submit=counted))

    async def ask() -> None:
        messages = [ChatMessage(role="user", content="h")] * 2000
        served = SimpleNamespace(gpt=SimpleNamespace(tokenizer=SimpleNamespace(is_chat=True)))
        await encode_messages(messages, served, None, state)

    with pytest.raises(QueueFullError):
        asyncio.run(ask())
    assert counted.call_args.args[1] >= 2000


def test_the_event_loop_runs_between_two_steps_of_work() -> None:
    async def ask() -> None:
        queue, loop = WorkQueue(64), asyncio.get_running_loop()
        n_turns = 0

        def count() -> None:
            nonlocal n_turns
            n_turns += 1

        def steps():
            for i in range(20):
                assert n_turns == i
                time.sleep(TURN_S)  # a step takes the whole turn
                loop.call_soon_threadsafe(count)
                yield

        await asyncio.wait_for(queue.submit(steps(), 1), 30)
        queue.close()

    asyncio.run(ask())


def test_the_size_of_the_queue_is_limited_in_tokens() -> None:
    async def ask() -> None:
        queue = WorkQueue(1)
        works = [queue.submit(steps_of(60), TOKENS_PER_PLACE // 2) for _ in range(2)]
        with pytest.raises(ServeError, match="the queue is full") as full:
            queue.submit(steps_of(0), 1)
        assert (full.value.status, full.value.headers) == (503, {"retry-after": "1"})
        works[0].cancel()
        await asyncio.sleep(0)
        assert await asyncio.wait_for(queue.submit(steps_of(0), 1), 30) == "done"
        works[1].cancel()
        queue.close()

    asyncio.run(ask())


@pytest.mark.parametrize(("leaves", "status"), [(True, 499), (False, 504)])
def test_work_stops_when_the_client_disconnects_or_times_out(names_result, leaves, status) -> None:
    stopped = threading.Event()

    async def receive():
        await asyncio.sleep(0.1 if leaves else 60)
        return {"type": "http.disconnect"}

    async def ask() -> None:
        model = ServedModel("names", "1", InferenceGpt(names_result), None)
        state = AppState(Settings(timeout_s=30 if leaves else 0.2), model, [])
        request = SimpleNamespace(scope={}, receive=receive)
        with pytest.raises(ServeError) as error:
            await run_steps(state, request, steps_of(60, stopped), 1)
        assert error.value.status == status
        assert state.n_running == 0
        assert await asyncio.to_thread(stopped.wait, 30)
        state.work.close()

    asyncio.run(ask())


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit()])
def test_the_thread_of_the_queue_survives_any_error(error) -> None:
    def fail():
        raise error
        yield

    async def ask() -> None:
        queue = WorkQueue(1)
        (fault,) = await asyncio.gather(queue.submit(fail(), 1), return_exceptions=True)
        assert error in (fault, fault.__cause__)
        assert await asyncio.wait_for(queue.submit(steps_of(0), 1), 30) == "done"
        queue.close()

    asyncio.run(ask())


def test_scores_are_computed_in_short_steps(names_gpt) -> None:
    """Each step, JSON included, lets the event loop and other work run."""
    scored = ScoreRequest(texts=["anna" * 30] * 1024, characters=True)
    work = score_steps(Scorer(names_gpt), None, scored)
    gc.collect()  # what other tests left would take as long as a step
    times = [time.thread_time()]
    with contextlib.suppress(StopIteration):
        while True:
            next(work)
            times.append(time.thread_time())
    longest = max(end - start for start, end in pairwise(times))
    assert longest < (times[-1] - times[0]) / 2


def test_closing_the_queue_does_not_wait_for_a_step() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        go_on.wait(20)

    async def ask() -> None:
        queue = WorkQueue(1)
        queue.submit(one_step(wait), 1)
        assert await asyncio.to_thread(begun.wait, 20)
        started = time.monotonic()
        queue.close()
        assert time.monotonic() < started + 10
        assert all(one.daemon for one in threading.enumerate() if one.name.startswith("work"))

    try:
        asyncio.run(ask())
    finally:
        go_on.set()


def test_running_scores_finish_after_sigterm(serve, slow_dir) -> None:
    server = serve(slow_dir, MICROGPT_TIMEOUT_S="60")
    clients = [server.send(SCORE, {"texts": ["ab" * 400]}) for _ in range(4)]
    server.get("/health")  # answered in turn: the others have been taken
    server.signal(signal.SIGTERM)
    server.wait_for("shutting down")
    for client in clients:
        assert client.recv(12) == b"HTTP/1.1 200"
        client.close()
    assert server.process.wait(20) == 0


def test_a_slow_score_gets_a_504_and_stops(serve, slow_dir) -> None:
    server = serve(slow_dir, MICROGPT_TIMEOUT_S="0.1")
    replies = server.at_once(SCORE, [{"texts": ["ab" * 500]}] * 12)
    assert {reply.status for reply in replies} <= {503, 504}
    assert replies[0].json == {"error": "the reply was not ready within 0.1 seconds"}
    server.until_idle()
