"""The pages of the models, each made in a thread when it is first asked for."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from microgpt import on_compiling, plugin
from microgpt_serve.served_model import ServedModel
from microgpt_serve.work_queue import WorkQueue

LOG = logging.getLogger("microgpt_serve")
WAIT_S = 2.0  # time after which a browser is told to ask again


class ModelPages:
    """The pages of the models by name. They are made on one thread."""

    def __init__(self) -> None:
        self._pages: dict[str, asyncio.Future[bytes]] = {}
        self._thread = WorkQueue(1)

    async def find(self, model: ServedModel, others: Sequence[str]) -> bytes | None:
        """Return the page of a model, or None if it is not ready yet.

        Args:
            others: names of the models to which the page links.

        Raises:
            ConfigError: the model is too large for a page, or its engine cannot be compiled.
        """
        page = self._pages.get(model.name)
        if page is None:
            page = self._thread.submit(partial(_page, model, others), 0)
            self._pages[model.name] = page
        done, _ = await asyncio.wait([page], timeout=WAIT_S)
        if not done:
            return None
        if page.exception():
            self._pages.pop(model.name, None)
        return page.result()

    def close(self) -> None:
        """Discard pages that are not ready. Do not wait for them."""
        self._thread.close()


def _page(model: ServedModel, others: Sequence[str]) -> bytes:
    with on_compiling(LOG.info):
        page: bytes = plugin("pages", "document")(model.saved, model.name, others)  # type: ignore[misc]
    return page
