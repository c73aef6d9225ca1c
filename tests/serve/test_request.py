"""Long work of requests: one at a time, and no longer than its request."""

import asyncio
import threading
from functools import partial
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from starlette.requests import ClientDisconnect

from microgpt_serve.models import ServedModels
from microgpt_serve.request import MAX_INLINE_BYTES, QUEUE_LIMIT, Service
from microgpt_serve.service_errors import QueueFullError, ServeError
from microgpt_serve.service_settings import ServiceSettings

LONG = MAX_INLINE_BYTES + 1


def service_with(directory) -> Service:
    settings = ServiceSettings(model_dir=str(directory))
    return Service(settings, ServedModels.load(settings), [])


def http_request(
    *, leaves: bool = False, n_bytes: int = LONG, timeout_s: float = 30
) -> SimpleNamespace:
    """Return a request that has just begun."""

    async def is_disconnected() -> bool:
        return leaves

    now = asyncio.get_running_loop().time()
    scope = {"deadline": now + timeout_s, "look_at": now, "n_bytes": n_bytes}
    return SimpleNamespace(scope=scope, is_disconnected=is_disconnected)


def test_long_work_is_refused_if_too_much_of_it_waits(names_dir) -> None:
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
def test_long_work_ends_when_the_client_disconnects_or_times_out(names_dir, leaves, error) -> None:
    go_on, left_out = threading.Event(), Mock()

    async def ask() -> None:
        service = service_with(names_dir)
        running = asyncio.ensure_future(service.run(http_request(), partial(go_on.wait, 30)))
        await asyncio.sleep(0)
        asked = http_request(leaves=leaves, timeout_s=30 if leaves else 0.2)
        with pytest.raises(error):
            await service.run(asked, left_out)
        await asyncio.sleep(0)  # asyncio cancels work that has not begun in the next iteration
        go_on.set()
        await asyncio.gather(running, return_exceptions=True)
        service.close()

    asyncio.run(ask())
    left_out.assert_not_called()


def test_an_error_of_long_work_reaches_its_request_alone(names_dir) -> None:
    async def ask() -> None:
        service = service_with(names_dir)
        with pytest.raises(ValueError, match="x"):
            await service.run(http_request(), Mock(side_effect=ValueError("x")))
        assert await service.run(http_request(), lambda: "done") == "done"
        service.close()

    asyncio.run(ask())
