"""Hosts that train one model: how they are named, and how they meet."""

import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from microgpt.errors import ConfigError

pytest.importorskip("jax", reason="JAX is not installed; run: uv sync --group jax")

from microgpt.jax_engine import hosts
from microgpt.jax_engine.hosts import Hosts, HostsError

SLURM = {
    "SLURM_JOB_ID": "4096", "SLURM_STEP_NODELIST": "node[03-05],other", "SLURM_NTASKS": "4",
    "SLURM_PROCID": "2", "SLURM_LOCALID": "0",
}  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(autouse=True)
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(hosts, "PATIENCE_S", 1.0)


@pytest.mark.parametrize(
    "text", ["", "node", "node:80", "node:80,2", "node:80,2,2", "node:0,2,1", "node:70000,2,1"]
)
def test_malformed_hosts_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"pass auto, or HOST:PORT,N,I"):
        Hosts.of(text)


def test_hosts_are_named_by_an_option_or_by_slurm(monkeypatch) -> None:
    assert Hosts.of("node:80,2,1") == Hosts("node:80", 2, 1)
    with pytest.raises(ConfigError, match="no variables of Slurm, Open MPI or Kubernetes"):
        Hosts.of("auto")
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    assert Hosts.of("auto") == Hosts("node03:61440", 4, 2, [0])


def meet(plans: Sequence[str], indices: Sequence[int]) -> list[BaseException | None]:
    """Let one host per plan meet the others; return the error of each."""
    address = f"127.0.0.1:{free_port()}"

    def error(plan: str, index: int) -> BaseException | None:
        host = Hosts(address, len(plans), index)
        with ExitStack() as stack:
            try:
                (host._join if index else host._meet)(plan, stack)
            except HostsError as error:
                return error
        return None

    with ThreadPoolExecutor() as pool:
        return list(pool.map(error, plans, indices))


def test_hosts_with_different_plans_do_not_start() -> None:
    assert meet(["same", "same", "same"], [0, 1, 2]) == [None, None, None]
    errors = [str(error) for error in meet(["one", "other"], [0, 1])]
    assert all("has other data, settings or checkpoint" in error for error in errors)


def test_two_hosts_with_the_same_index_do_not_start() -> None:
    errors = [str(error) for error in meet(["same", "same", "same"], [0, 1, 1])]
    assert errors[0].startswith("host 1 has other data, settings or checkpoint, or two hosts")


def test_the_first_host_ignores_connections_of_others(monkeypatch) -> None:
    monkeypatch.setattr(hosts, "PATIENCE_S", 30.0)
    monkeypatch.setattr(hosts, "HELLO_S", 0.2)
    first = Hosts(f"127.0.0.1:{free_port()}", 2, 0)
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        met = pool.submit(first._meet, "plan", stack)
        for sent in (b"silent", b"\x16\x03\x01\xff\n", b"GET / HTTP/1.1\n"):
            while not met.done():
                with suppress(ConnectionRefusedError):  # it does not listen yet
                    other = socket.create_connection(("127.0.0.1", int(first.address[10:])))
                    stack.enter_context(other).sendall(sent)
                    break
        Hosts(first.address, 2, 1)._join("plan", stack)
        assert [*met.result().values()] == [1]


@pytest.mark.parametrize("index", [0, 1])
def test_a_host_without_an_answer_is_named(index: int) -> None:
    host = Hosts(f"127.0.0.1:{free_port()}", 3, index)
    missing = "0" if index else "1, 2"
    error = f"no answer from host {missing} of 3 within 1 s"
    with pytest.raises(HostsError, match=error), host.connected("plan", None, print):
        pass
