import asyncio
import threading
import time
from functools import partial
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from microgpt_serve.app_state import AppState
from microgpt_serve.errors import QueueFullError, ServeError
from microgpt_serve.generation import chat_generation, run_function
from microgpt_serve.schemas import ChatRequest
from microgpt_serve.served_models import ServedModels
from microgpt_serve.settings import ServiceSettings
from microgpt_serve.work_queue import TOKENS_PER_PLACE, WorkQueue


def request_to(state, scope, **others) -> SimpleNamespace:
    app = SimpleNamespace(state=SimpleNamespace(app_state=state))
    return SimpleNamespace(app=app, scope=scope, **others)


def test_each_message_of_a_long_chat_counts_towards_the_queue() -> None:
    counted = Mock(side_effect=QueueFullError)
    served = SimpleNamespace(
        name="names", gpt=SimpleNamespace(tokenizer=SimpleNamespace(is_chat=True))
    )
    work = SimpleNamespace(submit=counted)
    state = SimpleNamespace(work=work, models=ServedModels(names=served))
    request = request_to(state, {"path": "/microgpt/v1/chat"})

    async def ask() -> None:
        body = ChatRequest(messages=[{"role": "user", "content": "h"}] * 2000)
        await chat_generation(request, body.messages, body.wanted())

    with pytest.raises(QueueFullError):
        asyncio.run(ask())
    assert counted.call_args.args[1] >= 2000


def test_the_size_of_the_queue_is_limited_in_tokens() -> None:
    go_on = threading.Event()

    async def ask() -> None:
        queue = WorkQueue(1)
        works = [queue.submit(partial(go_on.wait, 30), TOKENS_PER_PLACE // 2) for _ in range(2)]
        with pytest.raises(ServeError, match="the queue is full") as full:
            queue.submit(Mock(), 1)
        assert (full.value.status, full.value.headers) == (503, {"retry-after": "1"})
        works[1].cancel()
        await asyncio.sleep(0)
        last = queue.submit(lambda: "done", 1)
        go_on.set()
        assert await asyncio.wait_for(last, 30) == "done"
        queue.close()

    asyncio.run(ask())


@pytest.mark.parametrize(("leaves", "status"), [(True, 499), (False, 504)])
def test_work_ends_when_the_client_disconnects_or_times_out(names_dir, leaves, status) -> None:
    go_on, left_out = threading.Event(), Mock()

    async def receive():
        await asyncio.sleep(0.1 if leaves else 60)
        return {"type": "http.disconnect"}

    async def ask() -> None:
        settings = ServiceSettings(model_dir=str(names_dir), timeout_s=30 if leaves else 0.2)
        state = AppState(settings, ServedModels.load(settings), [])
        running = state.work.submit(partial(go_on.wait, 30), 1)
        request = request_to(state, {}, receive=receive)
        with pytest.raises(ServeError) as error:
            await run_function(request, left_out, 1, 0)
        assert error.value.status == status
        assert state.n_running == 0
        last = state.work.submit(lambda: None, 1)
        go_on.set()
        await asyncio.wait_for(asyncio.gather(running, last), 30)
        state.work.close()

    asyncio.run(ask())
    left_out.assert_not_called()


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit()])
def test_the_thread_of_the_queue_survives_any_error(error) -> None:
    async def ask() -> None:
        queue = WorkQueue(1)
        failing = queue.submit(Mock(side_effect=error), 1)
        (fault,) = await asyncio.gather(failing, return_exceptions=True)
        assert repr(error) in (repr(fault), str(fault))
        assert await asyncio.wait_for(queue.submit(lambda: "done", 1), 30) == "done"
        queue.close()

    asyncio.run(ask())


def test_closing_the_queue_does_not_wait_for_a_function() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        go_on.wait(20)

    async def ask() -> None:
        queue = WorkQueue(1)
        queue.submit(wait, 1)
        assert await asyncio.to_thread(begun.wait, 20)
        started = time.monotonic()
        queue.close()
        assert time.monotonic() < started + 10
        assert all(one.daemon for one in threading.enumerate() if one.name == "work")

    try:
        asyncio.run(ask())
    finally:
        go_on.set()
