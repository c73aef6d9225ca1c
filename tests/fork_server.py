"""Run `microgpt` in forks of a process that has imported it and loaded its kernels.

A fork is a process of its own, with its own streams, directory, signals and exit code. It starts in
10 ms; a new process takes half a second.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TIMEOUT_S = 120


class ForkServer:
    """The process whose forks run commands."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a Ctrl-C is for the tests
        )

    def run(
        self, args: list[str], cwd: Path, stdin: str, streams: Path
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, as `subprocess.run` does.

        Args:
            streams: a directory for what goes through its streams.
        """
        assert self._server.stdin
        assert self._server.stdout
        paths = {name: streams / name for name in ("stdin", "stdout", "stderr")}
        paths["stdin"].write_bytes(stdin.encode())
        request = {
            "args": args,
            "cwd": str(cwd),
            "env": dict(os.environ),
            "streams": list(map(str, paths.values())),
        }
        print(json.dumps(request), file=self._server.stdin, flush=True)
        code = int(self._server.stdout.readline())
        out, err = (paths[name].read_text("utf-8") for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess(["microgpt", *args], code, out, err)

    def close(self) -> None:
        """End the process."""
        self._server.communicate(timeout=TIMEOUT_S)


def _serve() -> dict[str, Any]:
    """Answer requests; in a fork, return the request that it is for."""
    requests, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    for line in requests:
        request = json.loads(line)
        pid = os.fork()
        if not pid:
            os.close(requests.fileno())
            os.close(replies.fileno())
            return request
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), file=replies, flush=True)
    os._exit(0)


def _become(request: dict[str, Any]) -> None:
    """Take over the streams, directory, environment and arguments of a request."""
    for fd, path in enumerate(request["streams"]):
        opened = os.open(path, os.O_RDONLY if fd == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, fd)
        os.close(opened)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = ["microgpt", *request["args"]]
    signal.alarm(TIMEOUT_S)


if __name__ == "__main__":
    import atexit
    import gc
    import signal
    import threading
    import traceback

    # What commands import: without what draws, which a test may hide.
    import microgpt_cli.app
    import microgpt_cli.main
    from microgpt.training.engines import prepare_engine

    prepare_engine("compiled", "float32", uses=["training", "evaluation", "generation"])
    gc.collect()
    gc.freeze()
    _become(_serve())
    code = 1
    try:
        microgpt_cli.main.main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # without taking all modules apart, which is slower than most commands
