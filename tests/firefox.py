"""A headless Firefox, driven with its Marionette protocol (firefox-source-docs, Marionette).

Playwright drives only its own build of Firefox, which no package index has.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

START_S = 60
SCRIPT_MS = 60_000
ANSWER_S = 120  # longer than a script


class Firefox:
    """A browser with one page."""

    def __init__(self, path: str, profile: Path) -> None:
        """Start the browser with an empty profile."""
        profile.mkdir()
        preferences = {"marionette.port": 0, "network.dns.disabled": True}
        lines = (f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in preferences.items())
        (profile / "user.js").write_text("".join(lines))
        command = [path, "--headless", "--marionette", "--no-remote", "--profile", profile]
        env = {**os.environ, "HOME": str(profile)}
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, env=env, stdout=quiet, stderr=quiet)
        self._n = 0
        self._opened = ExitStack()
        try:
            connection = self._connect(profile / "MarionetteActivePort")
            self._opened.enter_context(connection)
            self._file = self._opened.enter_context(connection.makefile("rwb"))
            self._receive()  # what it is
            self._send("WebDriver:NewSession", timeouts={"script": SCRIPT_MS})
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the browser."""
        self._process.kill()
        self._process.wait()
        self._opened.close()

    def open(self, url: str) -> None:
        """Load a page."""
        self._send("WebDriver:Navigate", url=url)

    def run(self, script: str, *args: Any) -> Any:
        """Run the body of an async function in the page, and return its result."""
        begin = "const args = [...arguments], done = args.pop(); (async () => {"
        script = f"{begin}{script}}})().then(done)"
        return self._send("WebDriver:ExecuteAsyncScript", script=script, args=args)["value"]

    def _connect(self, port: Path) -> socket.socket:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if port.exists() and port.read_text().strip():
                address = ("127.0.0.1", int(port.read_text()))
                return socket.create_connection(address, timeout=ANSWER_S)
            time.sleep(0.05)
        raise AssertionError("Firefox does not start")

    def _send(self, command: str, **parameters: Any) -> Any:
        self._n += 1
        message = json.dumps([0, self._n, command, parameters]).encode()
        self._file.write(b"%d:%b" % (len(message), message))
        self._file.flush()
        _, _, error, result = self._receive()
        assert error is None, f"{command}: {error}"
        return result

    def _receive(self) -> Any:
        size = b""
        while (digit := self._file.read(1)) != b":":
            assert digit, "Firefox has stopped"
            size += digit
        return json.loads(self._file.read(int(size)))


def firefox_path() -> str | None:
    """Return the path of Firefox, if it is installed."""
    return shutil.which("firefox") or shutil.which("firefox-esr")
