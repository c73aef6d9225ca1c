"""Reload the API keys and the model on SIGHUP."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TypeVar

from microgpt.errors import MicrogptError
from microgpt_serve.app_state import AppState
from microgpt_serve.served_model import load_model

LOG = logging.getLogger("microgpt_serve")
RELOAD_S = 120.0  # timeout for reloading the keys or the model; a network drive may hang
T = TypeVar("T")


class Reloader:
    """Reloads the API keys and model of an app. On failure, the old ones stay in use."""

    def __init__(self, state: AppState) -> None:
        self._state = state
        self._lock = asyncio.Lock()
        self._is_stale = False

    async def reload(self) -> None:
        """Reload the API keys and the model.

        Reloads do not overlap: calls during a reload are merged into one subsequent reload. A new
        `output` directory replaces the demo model. The demo model never replaces another model.
        """
        self._is_stale = True
        async with self._lock:
            if not self._is_stale:
                return
            self._is_stale = False
            if self._state.settings.api_keys_file is not None:
                await self._try(self._reload_keys, "the API keys are unchanged")
            await self._try(self._reload_model, f"{self._state.model} is still served")

    async def _try(self, reload: Callable[[], Awaitable[str]], otherwise: str) -> None:
        metrics = self._state.metrics
        try:
            async with asyncio.timeout(RELOAD_S) as limit:
                reloaded = await reload()
        except Exception as error:
            metrics.reloads_failed.inc()
            is_known = isinstance(error, MicrogptError) or limit.expired()
            problem = f"timed out after {RELOAD_S:g} s" if limit.expired() else error
            LOG.error("reload failed: %s; %s", problem, otherwise, exc_info=not is_known)
        else:
            metrics.reloads_ok.inc()
            LOG.info("reloaded: %s", reloaded)

    async def _reload_keys(self) -> str:
        # Do not assign in the thread: after a timeout, the thread could restore old keys.
        keys = self._state.keys
        keys.hashes = await _in_daemon_thread(keys.read)
        return f"API keys ({len(keys.hashes)})"

    async def _reload_model(self) -> str:
        directory, allow_demo = self._state.settings.model_dir, self._state.model.is_demo
        model = await _in_daemon_thread(
            lambda: load_model(directory, LOG.info, allow_demo=allow_demo)
        )
        self._state.model = model
        self._state.metrics.set_model(model.name, model.version)
        return str(model)


async def _in_daemon_thread(function: Callable[[], T]) -> T:
    """Call a function in a daemon thread, so that a hanging call does not delay process exit."""
    future: Future[T] = Future()

    def run() -> None:
        with suppress(InvalidStateError):  # the caller has timed out
            try:
                future.set_result(function())
            except MicrogptError as error:
                future.set_exception(error)
            except BaseException as error:  # includes panics in the tokenizers library
                unknown = RuntimeError(f"{type(error).__name__}: {error}")
                unknown.__cause__ = error
                future.set_exception(unknown)

    threading.Thread(target=run, name="reload", daemon=True).start()
    return await asyncio.wrap_future(future)
