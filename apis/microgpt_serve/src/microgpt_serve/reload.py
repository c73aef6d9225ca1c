"""Reload the API keys and the models while the service runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from microgpt.errors import MicrogptError
from microgpt.storage.model_sources import ModelSource, model_sources
from microgpt_serve.served_models import load_source
from microgpt_serve.work_queue import WorkQueue, one_step

if TYPE_CHECKING:
    from microgpt_serve.app_state import AppState

LOG = logging.getLogger("microgpt_serve")
RELOAD_S = 120.0  # timeout for reloading the keys or a model; a network drive may hang
T = TypeVar("T")


class Reloader:
    """Reloads the API keys and models of an app. On failure, the old ones stay in use."""

    def __init__(
        self, state: "AppState", publish: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Reload what `state` has. `publish` sends it to other processes."""
        self._state, self._publish = state, publish
        self._done: list[tuple[str, str]] = []  # names and descriptions of what has been reloaded
        self._lock = asyncio.Lock()
        self._stale: set[str | None] = set()

    async def reload(self, name: str | None = None) -> None:
        """Reload the model with a name, or the API keys and all models.

        Reloads do not overlap: equal calls during a reload are merged into one subsequent reload.
        A model that is new in a directory of models is added; those that are gone are removed,
        unless a directory that the settings name is missing.
        A new `output` directory replaces the demo model. The demo model never replaces another one.
        """
        self._stale.add(name)
        async with self._lock:
            if name not in self._stale:
                return
            self._stale.discard(name)
            settings, models = self._state.settings, self._state.models
            if name is None and settings.api_keys_file is not None:
                await self._reload_keys()
            allow_demo = any(model.is_demo for model in models.loaded)
            find = partial(
                model_sources, settings.model_dir, allow_demo=allow_demo, allow_missing=True
            )
            sources = await self._attempt("", find, f"{models} is still served") or []
            chosen = [source for source in sources if name in (None, source.name)]
            if name in models.by_name and not chosen:
                models.failed.add(name)
            for source in chosen:
                await self._reload_model(source)
            old = [source for source in sources if source.name in models.by_name]
            if not any(source.is_missing for source in sources):  # it may have held several models
                models.keep_only([source.name for source in sources if source in chosen + old])
            self._state.metrics.set_models(models.by_name)
            await self._finish()

    async def _finish(self) -> None:
        """Publish the new state, then log what has been reloaded."""
        if self._publish:
            await self._publish()
        while self._done:
            name, what = self._done.pop(0)
            self._state.metrics.count_reload(name, "ok")
            LOG.info("reloaded: %s", what)

    async def _reload_keys(self) -> None:
        # Do not assign in the thread: after a timeout, the thread could restore old keys.
        keys = self._state.keys
        if hashes := await self._attempt("", keys.read, "the API keys are unchanged"):
            keys.hashes = hashes
            self._done.append(("", f"API keys ({len(hashes)})"))

    async def _reload_model(self, source: ModelSource) -> None:
        models, settings = self._state.models, self._state.settings
        old = models.by_name.get(source.name, models)
        otherwise = f"{old} is still served" if old else f"{source.name} is not served"
        load = partial(load_source, settings, source)
        if model := await self._attempt(source.name, load, otherwise):
            models.by_name[source.name] = model
            models.failed.discard(source.name)
            self._done.append((source.name, str(model)))

    async def _attempt(self, name: str, function: Callable[[], T], otherwise: str) -> T | None:
        """Return the result of a function in a thread; log and count a failed reload: None."""
        thread = WorkQueue(1)  # of its own, because a function that hangs never ends it
        try:
            async with asyncio.timeout(RELOAD_S) as limit:
                return await thread.submit(one_step(function), 0)
        except Exception as error:
            self._state.metrics.count_reload(name, "failed")
            self._state.models.failed |= {name} - {""}
            is_known = isinstance(error, MicrogptError) or limit.expired()
            problem = f"timed out after {RELOAD_S:g} s" if limit.expired() else str(error)
            if not is_known:
                # `WorkQueue` gives a RuntimeError for what is no Exception.
                fault = (isinstance(error, RuntimeError) and error.__cause__) or error
                problem = f"{type(fault).__name__}: {fault}"
            LOG.error("reload failed: %s; %s", problem, otherwise, exc_info=not is_known)
            return None
        finally:
            thread.close()
