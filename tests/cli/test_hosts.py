"""Several devices and hosts: `microgpt train --hosts`, and a host that is killed."""

import json
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from commands import COMMAND, ok, refused

pytest.importorskip("jax", reason="JAX is not installed; run: uv sync --group jax")

TRAIN = (
    "train", "--data", "names.txt", "--engine", "jax", "--n-embd", "8", "--n-layer", "1",
    "--n-head", "2", "--block-size", "8", "--batch-size", "3", "--learning-rate", "0.003",
    "--val-fraction", "0.1", "--dropout", "0.1", "-n", "0",
)  # fmt: skip
LIMIT_S = 240


def start(folder: Path, *options: str) -> list[subprocess.Popen[str]]:
    """Start the command on two hosts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    return [
        subprocess.Popen(
            [COMMAND, *options, "--hosts", f"{address},2,{i}"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]


def losses(model: Path) -> list[float]:
    """Return the losses of a training, averaged over some steps each."""
    lines = map(json.loads, (model / "history.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if "loss" in line]


def ended(hosts: list[subprocess.Popen[str]]) -> list[str]:
    """Wait for hosts that end as planned; return what they print to stdout."""
    printed = [host.communicate(timeout=LIMIT_S) for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0], printed
    return [out for out, _ in printed]


@pytest.mark.slow
def test_training_on_two_devices_gives_the_losses_of_one(microgpt, made_up_names, tmp_path) -> None:
    ok(microgpt(*TRAIN, "--steps", "60", "--model", "one"))
    two = "--xla_force_host_platform_device_count=2"
    ok(microgpt(*TRAIN, "--steps", "60", "--model", "two", cold=True, XLA_FLAGS=two))
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-4)


@pytest.mark.slow
def test_training_on_two_hosts_gives_the_losses_of_one(microgpt, made_up_names, tmp_path) -> None:
    ok(microgpt(*TRAIN, "--steps", "100", "--model", "one"))
    first, second = ended(start(tmp_path, *TRAIN, "--steps", "100", "--model", "two"))
    alone, together = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(together) == len(alone) == 100
    assert together == pytest.approx(alone, abs=1e-4)
    assert "[Gloo]" not in first + second
    assert "lowest held-out loss" in first
    assert "lowest held-out loss" not in second


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_host_ends_the_run_which_resumes(made_up_names, tmp_path, killed) -> None:
    hosts = start(tmp_path, *TRAIN, "--steps", "1000000", "--model", "two")
    state, deadline = tmp_path / "two/train_state.json", time.monotonic() + LIMIT_S
    while not (state.exists() and json.loads(state.read_text())["step"]):
        assert [host.poll() for host in hosts] == [None, None]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    hosts[killed].send_signal(signal.SIGKILL)
    hosts[killed].communicate()
    other = hosts[1 - killed]
    _, errors = other.communicate(timeout=LIMIT_S)
    assert other.returncode == 1
    assert f"error: host {killed} of 2 was lost; resume with" in errors
    assert "Traceback" not in errors
    n_steps = json.loads(state.read_text())["step"] + 20
    ended(start(tmp_path, "train", "--resume", "two", "--steps", str(n_steps)))
    assert json.loads((tmp_path / "two/meta.json").read_text())["training"]["steps"] == n_steps


def test_hosts_need_jax_and_devices_for_each_document(microgpt, made_up_names) -> None:
    error = refused(microgpt("train", "--hosts", "a:1,2,0"))
    assert error == "--hosts requires --engine jax; add --engine jax or omit --hosts"
    error = refused(microgpt(*TRAIN, "--hosts", "a:1,2"))
    assert error.startswith("'a:1,2' does not name hosts; pass auto, or HOST:PORT,N,I")
    error = refused(microgpt("sweep", "steps", "--device", "tpu"))
    assert error.startswith("JAX finds no such device")
