"""Callables that are pickled once, and unpickled once per worker process."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from threading import Lock
from typing import Any, Generic, Self, TypeVar, cast

Item = TypeVar("Item")
Result = TypeVar("Result")

N_KEPT = 2  # callables cached per process; a worker may serve two searches

_unpickled: dict[str, Callable[[Any], Any]] = {}
_unpickling = Lock()


class NotUnpickledError(Exception):
    """The contents of a `PickledOnce` are not in the cache of this process."""


@dataclass(frozen=True)
class PickledOnce(Generic[Item, Result]):
    """A callable stored as pickled bytes, so that pickling it again is cheap."""

    sha256: str  # SHA-256 of the contents
    contents: bytes | None

    @classmethod
    def of(cls, work: Callable[[Item], Result]) -> Self:
        """Pickle a callable with all its data."""
        contents = pickle.dumps(work)
        return cls(sha256(contents).hexdigest(), contents)

    def name_only(self) -> Self:
        """Return a copy without the contents, for processes that have already cached them."""
        return replace(self, contents=None)

    def __call__(self, item: Item) -> Result:
        """Call the callable; raise NotUnpickledError if the contents are not available."""
        with _unpickling:
            work = _unpickled.get(self.sha256)
            if work is None:
                if self.contents is None:
                    raise NotUnpickledError
                if len(_unpickled) >= N_KEPT:
                    del _unpickled[next(iter(_unpickled))]
                work = _unpickled[self.sha256] = pickle.loads(self.contents)
        return cast(Callable[[Item], Result], work)(item)
