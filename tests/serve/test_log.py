"""The log: it never blocks the service, loses nothing to a reader, and counts what it drops."""

import http.client
import json
import logging
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from commands import SERVE

from microgpt_serve import log
from microgpt_serve.log import LogHandler

# Each of these characters is a word of ten in the log: few requests fill what it may hold.
LONG_PATH = "/" + "%F3%A0%80%81" * 199


def record(message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("microgpt_serve", logging.INFO, "", 0, message, args, None)


def read_all(fd: int) -> list[str]:
    """Return the lines of a pipe that nobody writes to any more."""
    with open(fd, encoding="utf-8") as file:
        return file.read().splitlines()


@pytest.mark.parametrize("is_blocking", [True, False])
def test_a_log_reader_gets_every_line_including_the_last(is_blocking) -> None:
    out, into = os.pipe()
    os.set_blocking(into, is_blocking)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.extend(read_all(out)))
    handler = LogHandler(into)
    for i in range(9000):  # several times what fits into the pipe
        handler.handle(record("line %d of a log", i))
    while select.select([], [into], [], 0)[1]:
        time.sleep(0.001)
    reader.start()
    handler.finish()
    os.close(into)
    reader.join(30)
    assert read == [f"line {i} of a log" for i in range(9000)]


def test_unread_log_lines_are_dropped_and_counted() -> None:
    out, into = os.pipe()
    counted: list[int] = []
    handler = LogHandler(into)
    handler.on_drop = counted.append
    for i in range(5000):
        handler.handle(record("%d " + "x" * 1000, i))
    n_dropped = sum(counted)
    assert 0 < n_dropped < 5000
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.extend(read_all(out)))
    reader.start()
    handler.finish()
    os.close(into)
    reader.join(30)
    told = " log lines were dropped because they could not be written"
    written = [int(line.split()[0]) for line in read if not line.endswith(told)]
    assert written == sorted(set(written))
    assert len(written) == 5000 - n_dropped
    assert read[-1].endswith(told)  # also before, if the writer was slow to begin
    assert sum(int(line.removesuffix(told)) for line in read if line.endswith(told)) == n_dropped


def test_closing_the_log_does_not_wait_for_a_stopped_reader(monkeypatch) -> None:
    monkeypatch.setattr(log, "LAST_LINES_S", 0.05)
    out, into = os.pipe()
    handler = LogHandler(into)
    for _ in range(200):
        handler.handle(record("x" * 1000))
    handler.finish()
    assert os.read(out, 5) == b"x" * 5
    threading.Thread(target=read_all, args=[out]).start()
    handler.finish()
    os.close(into)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_log_lines_that_cannot_be_written_are_counted(tmp_path) -> None:
    counted: list[int] = []
    full = os.open("/dev/full", os.O_WRONLY)
    handler = LogHandler(full)
    handler.on_drop = counted.append
    for i in range(3):
        handler.handle(record("%d", i))
        while sum(counted) <= i:
            pass
    os.dup2(os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT), full)
    handler.handle(record("there is room"))
    handler.finish()
    assert (tmp_path / "log").read_text().splitlines() == [
        "there is room",
        "3 log lines were dropped because they could not be written",
    ]


class Reader(NamedTuple):
    """Copies a pipe into the log file of a server, while it may."""

    fifo: Path
    may_read: threading.Event

    def copy(self, log: Path) -> None:
        with self.fifo.open("rb", buffering=0) as pipe, log.open("ab") as file:
            while self.may_read.wait() and (piece := pipe.read(4096)):
                file.write(piece)
                file.flush()


@pytest.fixture
def reader(tmp_path) -> Iterator[Reader]:
    """Reads the log of the first server of a test, which it starts through `sh`."""
    reader = Reader(tmp_path / "fifo", threading.Event())
    os.mkfifo(reader.fifo)
    reader.may_read.set()
    thread = threading.Thread(target=reader.copy, args=[tmp_path / "serve-0.log"], daemon=True)
    thread.start()
    yield reader
    reader.may_read.set()
    thread.join(30)


def ask(server, n_requests: int) -> int:
    """Return how many requests were answered, each within seconds."""
    client = http.client.HTTPConnection(server.host, server.port, timeout=5)
    try:
        for i in range(n_requests):
            client.request("GET", LONG_PATH)
            if client.getresponse().read() == b"":
                return i
    except TimeoutError:
        return i
    finally:
        client.close()
    return n_requests


@pytest.mark.slow
def test_a_stopped_log_reader_does_not_stop_the_service(serve, names_dir, reader) -> None:
    server = serve(names_dir, command=["sh", "-c", f"exec {SERVE} 2>{reader.fifo}"])
    reader.may_read.clear()
    n_answered = ask(server, 1500)
    if n_answered < 1500:
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGTERM)
        try:
            server.process.wait(5)
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()
            raise AssertionError(f"{n_answered} answered, and two SIGTERMs do not end it") from None
    dropped = server.metric("microgpt_log_lines_dropped_total")
    assert 0 < dropped < 1500
    reader.may_read.set()
    found = server.wait_for(
        r"warning: (\d+) log lines were dropped because they could not be written"
    )
    assert int(found[1]) == dropped
    n_lines = server.log.count(" 404 ")
    assert n_lines == 1500 - dropped
    reader.may_read.clear()
    assert ask(server, 1500) == 1500
    server.signal(signal.SIGTERM)
    assert server.process.wait(20) == 0


def test_clients_can_neither_forge_nor_flood_the_log(serve, names_dir, tmp_path) -> None:
    name = "names\x1b[2J\n2026 GET forged"
    shutil.copytree(names_dir, tmp_path / name)
    meta = json.loads((tmp_path / name / "meta.json").read_text())
    (tmp_path / name / "meta.json").write_text(json.dumps(meta | {"created_at": "now\x1b"}))
    server = serve(tmp_path / name)
    shown = r"names\x1b[2J\n2026 GET forged"
    assert server.get("/health").json["model"] == shown
    assert server.get("/v1/models").json["data"][0]["id"] == shown
    escaped = shown.replace("\\", "\\\\")  # as Prometheus has labels
    assert f'microgpt_model_info{{name="{escaped}"' in server.get("/metrics").body.decode()
    server.get(f"/{'a' * 60_000}")
    server.wait_for("aaa… 404 ")
    assert "\x1b" not in server.log
    assert "\n2026 " not in server.log
    assert max(map(len, server.log.splitlines())) < 300
