"""Processes on several hosts that train one model: how they meet, and the loss of one of them.

JAX connects the processes and exchanges the gradients. Before it starts, each process connects to
the first one and says what it will train. These connections stay open: if a process ends or, after
missing keepalive packets, its host is off, the others can say so and end.
"""

import atexit
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from selectors import EVENT_READ, DefaultSelector
from threading import Thread
from time import monotonic, sleep
from typing import Self

import jax
from jax._src.api import clean_up  # there are no public functions for this, and for the detection
from jax._src.clusters import ClusterEnv

from microgpt.config import Device
from microgpt.errors import ConfigError, MicrogptError
from microgpt.jax_engine.trainer import of_first_host, use_device

PATIENCE_S = 120.0  # limit for all hosts to answer; a scheduler starts them within seconds
RETRY_S = 0.2  # between attempts to connect to the first host, which may start last
KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}  # a host is lost after 30 s
HELLO_S = 5.0  # limit for a process that has connected to say what it trains
GRACE_S = 10.0  # JAX may report a lost host before the connection does
GO, BYE, DIFFERENT = b"+", b".", b"!"

Lines = dict[socket.socket, int]  # connections to other hosts, with their indices


class HostsError(MicrogptError):
    """The hosts of a training run do not answer, or train different models."""


@dataclass(frozen=True)
class Hosts:
    """The hosts of a training run, one process each; the first one writes the model."""

    address: str  # of the first host, as host:port
    n: int
    index: int  # of this process, counted from 0
    devices: list[int] | None = None  # of this process, as JAX detects them (default: all)

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the hosts of `--hosts`: address,number,index; or auto, as JAX detects them."""
        if text == "auto":
            address, n, index, devices = ClusterEnv.auto_detect_unset_distributed_params(
                None, None, None, None, None, round(PATIENCE_S)
            )
            if address is not None and n is not None and index is not None:
                return cls(address, n, index, None if devices is None else [*devices])
            raise ConfigError(
                "found no variables of Slurm, Open MPI or Kubernetes; start the command with srun "
                "or mpirun, or pass --hosts HOST:PORT,N,I"
            )
        found = re.fullmatch(r"(.+:(\d{1,5})),(\d{1,5}),(\d{1,5})", text)
        port, n, index = map(int, found.groups()[1:]) if found else (0, 0, 0)
        if not found or not 0 < port < 2**16 or index >= n:
            raise ConfigError(
                f"{text!r} does not name hosts; pass auto, or HOST:PORT,N,I: the address of the "
                "first host, the number of hosts, and the index of this one, from 0 to N-1"
            )
        return cls(found[1], n, index)

    @property
    def is_first(self) -> bool:
        """Whether this process writes the model."""
        return self.index == 0

    @contextmanager
    def connected(
        self, what: str, device: Device | None, on_lost: Callable[[str], None]
    ) -> Iterator[None]:
        """Wait for all hosts and connect JAX; disconnect when all have ended as planned.

        Args:
            what: hash of what is trained, which must be the same on all hosts.
            on_lost: called in a thread if a host is lost; it must end the process, whose main
                thread may wait for the lost host forever.

        Raises:
            HostsError: a host does not answer, or trains something else.
        """
        with ExitStack() as stack:
            lines = (self._meet if self.is_first else self._join)(what, stack)
            stack.pop_all()
        watcher = Thread(target=self._watch, args=(lines, on_lost), daemon=True)
        watcher.start()
        try:
            jax.config.update("jax_enable_preemption_service", False)  # it would handle SIGTERM
            jax.distributed.initialize(self.address, self.n, self.index, self.devices, "deactivate")
            if device:
                use_device(device)
            _exchange_first()
            yield
        except BaseException as error:
            atexit.unregister(clean_up)  # it would wait for the other hosts
            is_ours = isinstance(error.__cause__ or error, MicrogptError)
            if isinstance(error, Exception) and not is_ours:
                watcher.join(GRACE_S)  # the cause may be a lost host
            raise
        for line in lines:
            with suppress(OSError):
                line.sendall(BYE)
        jax.distributed.shutdown()

    def _meet(self, what: str, stack: ExitStack) -> Lines:
        """Wait for the other hosts; return the connections to them."""
        ends, lines = monotonic() + PATIENCE_S, Lines()
        port = int(self.address.rpartition(":")[2])
        try:
            server = stack.enter_context(socket.create_server(("", port), backlog=self.n))
        except OSError as error:
            raise HostsError(f"cannot listen on port {port}: {error.strerror}") from error
        while len(lines) < self.n - 1:
            server.settimeout(max(ends - monotonic(), RETRY_S))
            try:
                line = stack.enter_context(server.accept()[0])
            except OSError as error:
                missing = {*range(1, self.n)} - {*lines.values()}
                raise self._silent(", ".join(map(str, sorted(missing)))) from error
            said = ""
            with suppress(OSError):  # a stranger may say nothing, or hang up
                line.settimeout(HELLO_S)
                said = line.makefile(errors="replace").readline()
            theirs, _, index = said.partition(" ")
            if index.strip().isdecimal():  # otherwise, not one of ours
                if theirs != what or int(index) in lines.values():
                    line.sendall(DIFFERENT)
                    raise _different(int(index))
                lines[line] = int(index)
        server.close()  # JAX listens on this port
        for line in lines:
            line.sendall(GO)
        return lines

    def _join(self, what: str, stack: ExitStack) -> Lines:
        """Connect to the first host; return the connection."""
        ends, (host, _, port) = monotonic() + PATIENCE_S, self.address.rpartition(":")
        while True:
            try:
                line = socket.create_connection((host.strip("[]"), int(port)), PATIENCE_S)
                stack.enter_context(line)
                line.sendall(f"{what} {self.index}\n".encode())
                line.settimeout(max(ends - monotonic(), RETRY_S))
                answer = line.recv(1)
            except OSError as error:
                if monotonic() > ends:
                    raise self._silent("0") from error
                sleep(RETRY_S)
                continue
            if answer == GO:
                return {line: 0}
            if answer == DIFFERENT:
                raise _different(0)
            raise HostsError(f"host 0 at {self.address} has ended; see its message")

    def _silent(self, indices: str) -> HostsError:
        return HostsError(
            f"no answer from host {indices} of {self.n} within {PATIENCE_S:.0f} s; start the same "
            f"command on each host, and check that it can connect to {self.address}"
        )

    def _watch(self, lines: Lines, on_lost: Callable[[str], None]) -> None:
        """Wait until a host is lost, or all have ended as planned."""
        with DefaultSelector() as selector:
            for line, index in lines.items():
                line.settimeout(None)
                line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                for name in KEEPALIVE.keys() & dir(socket):  # not on every system
                    line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), KEEPALIVE[name])
                selector.register(line, EVENT_READ, index)
            while selector.get_map():
                for key, _ in selector.select():
                    answer = b""
                    with suppress(OSError):
                        answer = key.fileobj.recv(1)  # type: ignore[union-attr]
                    if not answer:
                        on_lost(f"host {key.data} of {self.n} was lost")
                        return
                    selector.unregister(key.fileobj)


def _exchange_first() -> None:
    """Exchange a first number; Gloo then prints a line to stdout, which belongs to the results."""
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        of_first_host(0)
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)


def _different(index: int) -> HostsError:
    return HostsError(
        f"host {index} has other data, settings or checkpoint, or two hosts have the same index; "
        "run the same command with the same files on each host"
    )
