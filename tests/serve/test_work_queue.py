import asyncio
import threading
from functools import partial
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from microgpt_serve.app_state import AppState
from microgpt_serve.errors import ServeError
from microgpt_serve.generation import run_function
from microgpt_serve.served_models import ServedModels
from microgpt_serve.settings import ServiceSettings
from microgpt_serve.work_queue import TOKENS_PER_PLACE, WorkQueue


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
        app = SimpleNamespace(state=SimpleNamespace(app_state=state))
        request = SimpleNamespace(app=app, scope={}, receive=receive)
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
