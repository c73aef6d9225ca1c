"""Drive a headless Firefox through its Marionette protocol (firefox-source-docs, Marionette).

Playwright drives only its own build of Firefox, which package indexes do not provide.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

START_S = 60
SCRIPT_MS = 60_000
ANSWER_S = 120  # time limit per answer; longer than SCRIPT_MS, the limit of a script


class Firefox:
    """A session with a Firefox browser that has one page open."""

    def __init__(self, stream: BinaryIO) -> None:
        """Begin a session over `stream`, a socket connection to the Marionette port."""
        self._stream, self._n = stream, 0
        self._receive()  # skip the greeting of Firefox
        self._send("WebDriver:NewSession", timeouts={"script": SCRIPT_MS})

    def open(self, url: str) -> None:
        """Load a page."""
        self._send("WebDriver:Navigate", url=url)

    def run(self, script: str, *args: Any) -> Any:
        """Run the body of an async function in the page, and return its result."""
        begin = "const args = [...arguments], done = args.pop(); (async () => {"
        script = f"{begin}{script}}})().then(done)"
        return self._send("WebDriver:ExecuteAsyncScript", script=script, args=args)["value"]

    def _send(self, command: str, **parameters: Any) -> Any:
        self._n += 1
        message = json.dumps([0, self._n, command, parameters]).encode()
        self._stream.write(b"%d:%b" % (len(message), message))
        self._stream.flush()
        _, _, error, result = self._receive()
        assert error is None, f"{command}: {error}"
        return result

    def _receive(self) -> Any:
        size = b""
        while (digit := self._stream.read(1)) != b":":
            assert digit, "Firefox has stopped"
            size += digit
        return json.loads(self._stream.read(int(size)))


@contextmanager
def started(path: str, profile: Path) -> Iterator[Firefox]:
    """Start Firefox with an empty profile."""
    profile.mkdir()
    preferences = {"marionette.port": 0, "network.dns.disabled": True}
    lines = (f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in preferences.items())
    (profile / "user.js").write_text("".join(lines))
    command = [path, "--headless", "--marionette", "--no-remote", "--profile", profile]
    env, quiet = {**os.environ, "HOME": str(profile)}, subprocess.DEVNULL
    with subprocess.Popen(command, env=env, stdout=quiet, stderr=quiet) as process:
        try:
            address = ("127.0.0.1", _port(profile / "MarionetteActivePort"))
            connection = socket.create_connection(address, ANSWER_S)
            with connection, connection.makefile("rwb") as stream:
                yield Firefox(stream)
        finally:
            process.kill()


def _port(file: Path) -> int:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if file.exists() and (text := file.read_text().strip()):
            return int(text)
        time.sleep(0.05)
    raise AssertionError("Firefox does not start")
