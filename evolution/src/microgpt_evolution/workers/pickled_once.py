"""Work with all its data, sent to other processes: pickled once here, unpickled once in each."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from threading import Lock
from typing import Any, Generic, TypeVar, cast

Item = TypeVar("Item")
Result = TypeVar("Result")

N_KEPT = 2  # in a process: a worker may serve two searches

_unpacked: dict[str, Callable[[Any], Any]] = {}
_unpacking = Lock()


class NotHereError(Exception):
    """A label was called in a process that has never had the parcel."""


@dataclass(frozen=True)
class PickledOnce(Generic[Item, Result]):
    """Work that is cheap to pickle, and unpacked where it is first called.

    Attributes:
        name: of the contents, their sha256.
        contents: the pickled work; None in a label.
    """

    name: str
    contents: bytes | None

    @classmethod
    def of(cls, work: Callable[[Item], Result]) -> "PickledOnce[Item, Result]":
        """Return work that does the same."""
        contents = pickle.dumps(work)
        return cls(sha256(contents).hexdigest(), contents)

    def label(self) -> "PickledOnce[Item, Result]":
        """Return the name alone, for processes that have had the parcel."""
        return replace(self, contents=None)

    def __call__(self, item: Item) -> Result:
        """Do the work.

        Raises:
            NotHereError: this is a label, and the parcel has not come, or not lately.
        """
        return self._unpack()(item)

    def _unpack(self) -> Callable[[Item], Result]:
        with _unpacking:
            work = _unpacked.get(self.name)
            if work is None:
                if self.contents is None:
                    raise NotHereError
                if len(_unpacked) >= N_KEPT:
                    del _unpacked[next(iter(_unpacked))]
                work = _unpacked[self.name] = pickle.loads(self.contents)
        return cast(Callable[[Item], Result], work)
