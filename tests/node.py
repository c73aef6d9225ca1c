"""Run the kernels of the engine in Node; each call copies its arrays there and back.

Arguments have the layout of `compiler.object_code`; an array is an object of 64-bit CPython.
"""

import ctypes
import json
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest.mock import patch

import numpy as np

from microgpt_engine import machine_code
from microgpt_engine.machine_code import EntryPoint

START = 2**20  # address of an image in the memory of Node; the stack is below it
ALIGNMENT = 64  # bytes; kernels store whole vectors at aligned addresses
HEAD = struct.Struct("<16x4Q")  # an array: after 16 bytes its data, n dimensions, shape and strides


class Image:
    """The memory of a call: the buffers of its arrays, the arrays, and the words of the call."""

    def __init__(self, args: tuple[Any, ...]) -> None:
        self._arrays: list[np.ndarray] = []
        arguments = list(self._words_of(args))
        self._places: list[tuple[int, int, int]] = []  # of a buffer: start, end, place in Node
        end = START
        for low, high in _merged(_bounds(_whole(array)) for array in self._arrays):
            place = -(-end // ALIGNMENT) * ALIGNMENT + low % ALIGNMENT
            self._places.append((low, high, place))
            end = place + high - low
        heads = -(-end // ALIGNMENT) * ALIGNMENT
        content, addresses = b"", []
        for array in self._arrays:
            addresses.append(heads + len(content))
            content += self._head(array, addresses[-1])
        self.words = heads + len(content)
        words = [
            0,
            0,
            *(addresses[-word - 1] if is_array else word for is_array, word in arguments),
        ]
        self._tail = content + struct.pack(f"<{len(words)}q", *words)
        self._tail_at = heads - START

    def _words_of(self, args: tuple[Any, ...]) -> Iterator[tuple[bool, int]]:
        """Yield whether an argument is an array, and its word, or -1 - the number of the array."""
        for arg in args:
            if isinstance(arg, np.ndarray):
                self._arrays.append(arg)
                yield True, -len(self._arrays)
            elif isinstance(arg, tuple):
                yield from self._words_of(arg)
            else:
                packed: list[int] = []
                machine_code._pack((arg,), packed)
                yield False, packed[0]

    def _head(self, array: np.ndarray, address: int) -> bytes:
        data, sizes = array.ctypes.data, address + HEAD.size
        buffers = (each for each in self._places if each[0] <= data < each[1])
        low, _, place = next(buffers, (data, data, START))  # an empty array has no buffer
        head = HEAD.pack(data - low + place, array.ndim, sizes, sizes + 8 * array.ndim)
        return head + struct.pack(f"<{2 * array.ndim}q", *array.shape, *array.strides)

    def bytes(self) -> bytes:
        """Return the content of the memory from START on."""
        content = bytearray(self._tail_at + len(self._tail))
        for low, high, place in self._places:
            content[place - START : place - START + high - low] = ctypes.string_at(low, high - low)
        content[self._tail_at :] = self._tail
        return bytes(content)

    def write_back(self, content: bytes) -> int:
        """Copy the buffers back to the arrays; return the result of the call."""
        for low, high, place in self._places:
            ctypes.memmove(low, content[place - START : place - START + high - low], high - low)
        return int(struct.unpack_from("<q", content, self.words - START)[0])


class Node:
    """A process that runs the modules of `microgpt_engine.wasm` in a directory."""

    def __init__(self, modules: Path) -> None:
        node = shutil.which("node") or shutil.which("nodejs")
        assert node, "needs Node"
        self._modules = modules
        self._process = subprocess.Popen(
            [node, Path(__file__).with_suffix(".js")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def call(self, place: str, args: tuple[Any, ...]) -> int:
        """Run a kernel on copies of its arrays, and write them back."""
        layout = machine_code._layout(args)
        dtype = layout[layout.index("<") + 1 :][:2]
        image, file = Image(args), self._modules / f"{place.rpartition(':')[2]}-{dtype}.wasm"
        content = image.bytes()
        facts = {"file": str(file), "start": START, "words": image.words, "length": len(content)}
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        stdin.write(json.dumps(facts).encode() + b"\n" + content)
        stdin.flush()
        return image.write_back(stdout.read(len(content)))

    @contextmanager
    def kernels(self) -> Iterator[None]:
        """Run all kernels in Node."""
        with patch.object(
            EntryPoint, "__call__", lambda point, *args: self.call(point._place, args)
        ):
            yield

    def __enter__(self) -> "Node":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()


def _whole(array: np.ndarray) -> np.ndarray:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _bounds(array: np.ndarray) -> tuple[int, int]:
    low, high = np.lib.array_utils.byte_bounds(array)
    return int(low), int(high)


def _merged(spans: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted({span for span in spans if span[1] > span[0]}):
        if merged and low <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(high, merged[-1][1])
        else:
            merged.append((low, high))
    return merged
