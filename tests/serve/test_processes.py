"""Tests of a service with several processes."""

import os
import pickle
import re
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from commands import SERVE, run_process, running

from microgpt import InferenceGpt, TrainConfig, save
from microgpt.errors import ConfigError
from microgpt.training.train import train
from microgpt_serve import Settings, create_app, log, server
from microgpt_serve.middleware.keys_and_rate_limit import ApiKeys
from microgpt_serve.served_models import ServedModels
from microgpt_serve.service import serve as serve_until_stopped

GENERATE, MODEL = "/microgpt/v1/generate", "/v1/models"
TWO = {"MICROGPT_PROCESSES": "2"}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="a service has one process on Windows"),
]


def workers(service) -> list[psutil.Process]:
    """Return the processes that answer requests."""
    return psutil.Process(service.process.pid).children()


def by_process(service, body=None) -> Iterator[tuple[str, dict]]:
    """Yield a process, by the prefix of its request ids, and its reply until two have replied."""
    seen = set()
    for _ in range(200):
        for reply in service.at_once(GENERATE, [body or {}] * 8):
            assert reply.status == 200
            process = reply.headers["x-request-id"].partition("-")[0]
            seen.add(process)
            yield process, reply.json
        if len(seen) > 1:
            return
    raise AssertionError(f"only {seen} has replied")


@pytest.fixture(scope="module")
def two(shared, names_dir):
    return shared(names_dir, **TWO, MICROGPT_TIMEOUT_S="60")


def test_every_process_gives_the_same_text_for_a_seed(two, names_gpt) -> None:
    texts = {text for _, reply in by_process(two, {"seed": 7}) for text in reply["samples"]}
    assert texts == {*names_gpt.generate(seed=7)}
    masked = {"max_tokens": 4, "response_format": {"type": "regex", "pattern": "an{3}"}}
    replies = two.at_once("/v1/completions", [masked] * 16)
    assert {reply.json["choices"][0]["text"] for reply in replies} == {"annn"}


def test_the_metrics_of_all_processes_are_added_up(two) -> None:
    def count() -> float:
        return two.metric(f'microgpt_requests_total{{route="{GENERATE}",status="200"}}')

    before = count()
    n = sum(1 for _ in by_process(two))
    workers(two)[0].kill()
    two.wait_for(r"was killed by SIGKILL; starting another in \d s\n(.*\n)*.*has replaced")
    n += sum(1 for _ in by_process(two))
    assert count() == before + n
    assert len(re.findall(b"\nmicrogpt_model_info{", two.get("/metrics").body)) == 1
    two.until_metric("microgpt_queue_length", 0)  # measured ten times per second


def test_the_rate_limit_holds_for_all_processes_together(serve, names_dir) -> None:
    service = serve(names_dir, **TWO, MICROGPT_RATE_LIMIT="20/hour", MICROGPT_API_KEY="k")
    with service.openai("k") as client:
        assert client.models.list().data[0].id == "names"
    key = {"Authorization": "Bearer k"}
    statuses = [service.get(MODEL, **key).status for _ in range(30)]
    assert statuses == [200] * 19 + [429] * 11


def test_a_reload_replaces_the_model_in_all_processes(serve, names_dir, tmp_path) -> None:
    directory = shutil.copytree(names_dir, tmp_path / "names")
    service = serve(directory, **TWO)
    (directory / "weights.json").rename(tmp_path / "weights.json")
    service.signal(signal.SIGHUP)
    service.wait_for("error: reload failed: .*names .* is still served")
    new = train(["xyz", "zyx"], config=TrainConfig(steps=30))
    shutil.rmtree(directory)
    save(new, directory)
    service.signal(signal.SIGHUP)
    service.wait_for("reloaded: names")
    shutil.rmtree(directory)  # a replaced process does not need it
    workers(service)[0].kill()
    service.wait_for("has replaced")
    (text,) = InferenceGpt(new).generate()
    assert {text for _, reply in by_process(service) for text in reply["samples"]} == {text}
    for result in ("ok", "failed"):
        assert service.metric(f'microgpt_reloads_total{{model="names",result="{result}"}}') == 1


def test_a_reload_by_http_reaches_all_processes(serve, names_dir, talk_dir, tmp_path) -> None:
    directory = shutil.copytree(names_dir, tmp_path / "names")
    models = f"{directory},{talk_dir}"
    service = serve(Path(models), **TWO, MICROGPT_API_KEY="k")
    new = train(["xyz", "zyx"], config=TrainConfig(steps=30))
    save(new, directory)
    key = {"Authorization": "Bearer k"}
    replies = [
        service.request("POST", "/microgpt/v1/reload", {"model": "names"}, **key) for _ in "123"
    ]
    (version,) = {reply.json["version"] for reply in replies}
    health = [service.get("/health", **key) for _ in range(60)]
    assert {reply.json["version"] for reply in health} == {version}
    assert len({reply.headers["x-request-id"].partition("-")[0] for reply in health}) == 2
    listed = [service.get("/v1/models", **key).json["data"] for _ in range(60)]
    assert all([one["id"] for one in models] == ["names", talk_dir.name] for models in listed)
    (directory / "meta.json").write_text("{}")
    failed = service.request("POST", "/microgpt/v1/reload", {"model": "names"}, **key)
    assert failed.status == 503
    ready = [service.get("/ready", **key).json for _ in range(60)]
    assert all(reply == {"status": "ready", "failed": ["names"]} for reply in ready)


def test_sigterm_finishes_the_requests_of_all_processes(serve, slow_dir) -> None:
    service = serve(slow_dir, **TWO, MICROGPT_TIMEOUT_S="60")
    running = [service.send(GENERATE, {"max_tokens": 300 + i}) for i in range(6)]
    time.sleep(0.5)
    for process in (psutil.Process(service.process.pid), *workers(service)):  # as systemd may do
        process.send_signal(signal.SIGTERM)
    for client in running:
        with client:
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
    assert service.process.wait(30) == 0
    assert service.log.count("shutting down") == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_the_service(serve, names_dir, number) -> None:
    service = serve(names_dir, **TWO)
    children = workers(service)
    folders = [
        Path(entry.path).parent for entry in children[0].memory_maps() if "/microgpt-" in entry.path
    ]
    service.signal(number)
    service.process.wait(20)
    assert not psutil.wait_procs(children, 20)[1]
    assert folders
    assert not [each for each in folders if each.exists()]


@pytest.mark.skipif(sys.platform != "linux", reason="the scores are Linux's")
def test_when_memory_runs_out_the_first_process_is_spared(two) -> None:
    def score(pid: int) -> int:
        return int(Path(f"/proc/{pid}/oom_score_adj").read_text())

    expected = min(1000, score(two.process.pid) + 400)
    assert [score(one.pid) for one in workers(two)] == [expected, expected]


def test_a_starting_process_leaves_the_shared_socket_unblocked(monkeypatch, names_dir) -> None:
    flags = []

    def run(self: server.Server, sockets: list[socket.socket]) -> None:
        for one in sockets:
            flags.append(os.get_blocking(one.fileno()))
            one.close()

    monkeypatch.setattr(server.Server, "run", run)
    app = create_app(Settings(model_dir=str(names_dir)))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)  # as by a process that accepts connections
        server.Server(app, lambda: None).run_on(socket.socket(fileno=os.dup(listener.fileno())))
        assert not os.get_blocking(listener.fileno())
    assert flags == [False] * server.N_LISTENERS


def test_a_process_whose_parent_ends_during_its_start_is_silent(names_dir, tmp_path) -> None:
    settings = Settings(model_dir=str(names_dir))
    message = (ServedModels.load(settings), ApiKeys(None, None), None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        command = [sys.executable, "-P", "-m", "microgpt_serve.processes", str(fd), "0", tmp_path]
        with running(command, pass_fds=[fd], encoding=None, text=False) as process:
            process.stdout.close()
            process.stdin.write(pickle.dumps(settings) + pickle.dumps(message))
            process.stdin.close()
            assert process.wait(60) == 0
            assert process.stderr.read() == b""


BROKEN = """
import sys
if "microgpt_serve.processes" in sys.orig_argv:  # in a process that answers requests
    from microgpt_serve import app
    def create_app(*args, **options):
        raise RuntimeError("no luck")
    app.create_app = create_app
"""


def test_a_process_that_cannot_start_ends_the_service(names_dir, tmp_path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    env = {**os.environ, **TWO, "MODEL_DIR": str(names_dir), "PORT": "0"}
    done = run_process([SERVE], env={**env, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert re.fullmatch(
        r"error: process \d+ ended with status 1 before it was ready; see the log", lines[-1]
    )
    assert 1 <= sum("a process cannot serve" in line for line in lines) <= 2
    assert "starting another" not in done.stderr


@pytest.mark.usefixtures("own_logs")
def test_more_processes_than_memory_are_refused(monkeypatch) -> None:
    monkeypatch.setattr("microgpt.resource_limits.free_bytes", lambda: 10**6)
    with pytest.raises(ConfigError, match=r"serving with 9 processes needs .*; use fewer proc"):
        serve_until_stopped(Settings(processes=9, port=0))


@pytest.mark.parametrize("n", ["1", "2"])
def test_systemd_hears_when_the_service_is_ready(serve, names_dir, tmp_path, n) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "a@notify"))
        systemd.settimeout(30)
        path = str(tmp_path / "a@notify")
        service = serve(names_dir, MICROGPT_PROCESSES=n, NOTIFY_SOCKET=path)
        assert systemd.recv(100) == b"READY=1\n"
        service.signal(signal.SIGTERM)
        assert systemd.recv(100) == b"STOPPING=1\n"
        assert service.process.wait(20) == 0


def test_lines_of_several_processes_are_not_mixed() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)  # keeps writes apart
    with ours, theirs:
        handler = log.LogHandler(theirs.fileno())
        lines = [f"{i} {'x' * (i * 97 % 700)}\n" for i in range(100)]
        assert handler._write("".join(lines).encode()) == 0
        handler.finish()
        ours.settimeout(0)
        writes = []
        while sum(map(len, writes)) < sum(map(len, lines)):
            writes.append(ours.recv(2**17))
    assert b"".join(writes).decode() == "".join(lines)
    assert all(one.endswith(b"\n") and len(one) <= log.MAX_WRITE for one in writes)
