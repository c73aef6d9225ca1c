"""Run the commands in forks of a process that has imported them and loaded their kernels.

`Popen` and `run` are those of `subprocess` for three programs: `microgpt`, `microgpt-serve` and
`python -c`. A fork is a process of its own, with its own streams, directory, signals and exit code.
It starts in 10 ms; a new process takes half a second or more. `Terminal` runs one on a terminal.
"""

import atexit
import contextlib
import fcntl
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import traceback
from pathlib import Path
from typing import Any, NoReturn

TIMEOUT_S = 600
PIPE = subprocess.PIPE

# What commands import: without what handles signals, and without what draws, which takes most of a
# second and is added for the slow tests (those that hide it start cold).
IMPORTED = [
    "microgpt.inference",
    "microgpt.storage.training_directory",
    "microgpt.training.train",
    "microgpt.verify",
    "microgpt_cli.chat.session",
    "microgpt_cli.chat.terminal",
    "microgpt_cli.dataset_report",
    "microgpt_cli.search.evolve_run",
    "microgpt_cli.search.sweep_run",
    "microgpt_cli.training.run",
    "microgpt_report.scaling_tables",
    "microgpt_serve.server",
    "rich.live",
    "rich.progress",
    "typer",
]


class Popen(subprocess.Popen):
    """A command in a fork.

    Of the options of `subprocess.Popen` it has those for streams, cwd, env and start_new_session,
    which makes a terminal on stdin the one that controls the session.
    """

    def _execute_child(self, *options: Any) -> None:
        """Have the server fork instead of starting a process; called by `subprocess.Popen`."""
        args, cwd, env, pipes = options[0], options[5], options[6], options[10:16]
        self._reply, theirs = socket.socketpair()
        with theirs:
            ours = (pipes[0], pipes[3], pipes[5])
            streams = [i if fd == -1 else fd for i, fd in enumerate(ours)]  # -1: inherited
            socket.send_fds(_server(), [b"+"], [*streams, theirs.fileno()])
        request = {
            "args": [os.fspath(arg) for arg in args],
            "cwd": os.fspath(cwd or os.getcwd()),
            "env": dict(os.environ if env is None else env),
            "new_session": options[21],
        }
        self._reply.sendall(json.dumps(request).encode() + b"\n")
        self.pid = self._read()
        self._close_pipe_fds(*pipes)

    def _read(self) -> int:
        return int.from_bytes(self._reply.recv(8), signed=True)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, as soon as there is one."""
        if self.returncode is None:
            if not select.select([self._reply], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout)
            self.returncode = self._read()
            self._reply.close()
        return self.returncode

    def poll(self) -> int | None:
        """Return the exit code, if there is one."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None


def run(
    args: list[str | Path],
    *,
    input: str | None = None,
    timeout: float = TIMEOUT_S,
    check: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as `subprocess.run(..., capture_output=True, text=True)` does."""
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), PIPE)
    with Popen(args, **{**streams, "encoding": "utf-8", **options}) as process:
        try:
            out, err = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(args, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


@functools.cache
def _server() -> socket.socket:
    """Start the process that forks. It ends when this process does."""
    ours, theirs = socket.socketpair()
    with theirs:
        subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno()), *IMPORTED],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": ""},  # each fork gets that of its test
            start_new_session=True,  # a Ctrl-C is for the tests
        ).returncode = 0  # nobody waits for it
    atexit.register(ours.close)
    return ours


def _serve(requests: socket.socket) -> dict[str, Any]:
    """Fork for each request and reply with its pid and exit code; in a fork, return the request."""
    replies: dict[int, socket.socket] = {}

    def reap(*_: object) -> None:
        for pid in list(replies):
            with contextlib.suppress(ChildProcessError):  # waited for by a signal during this one
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    with replies.pop(pid) as reply:
                        _send(reply, os.waitstatus_to_exitcode(status))

    signal.signal(signal.SIGCHLD, reap)
    while fds := socket.recv_fds(requests, 1, 4)[1]:
        reply = socket.socket(fileno=fds.pop())
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        if not (pid := os.fork()):
            return _take_over(fds, reply, others=[requests, *replies.values()])
        replies[pid] = reply
        _send(reply, pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        for fd in fds:
            os.close(fd)
    os._exit(0)


def _take_over(fds: list[int], reply: socket.socket, others: list[socket.socket]) -> dict[str, Any]:
    """Take over the streams of a request in its fork, and return the request."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
    for other in others:
        other.close()
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    with reply:
        return json.loads(reply.makefile().readline())


def _send(reply: socket.socket, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # it was not waited for
        reply.send(number.to_bytes(8, signed=True))


def _start_session() -> None:
    """Start a session; if stdin is a terminal, it controls the session."""
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored if the tests run under nohup
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _run(args: list[str], cwd: str, env: dict[str, str], new_session: bool) -> NoReturn:
    """Be one of the programs."""
    if new_session:
        _start_session()
    encoding = env.get("PYTHONIOENCODING", sys.stdout.encoding), sys.stdout.errors
    sys.stdin = os.fdopen(0, encoding=encoding[0], closefd=False)
    sys.stdout = os.fdopen(1, "w", 1 if os.isatty(1) else -1, *encoding, closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding[0], "backslashreplace", closefd=False)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
    code: Any = 0
    try:
        match Path(args[0]).name, args[1:]:
            case "microgpt", _:
                from microgpt_cli.main import main

                sys.argv = args
                main()
            case "microgpt-serve", _:
                from microgpt_serve.command import main

                sys.argv = args
                main()
            case _, ["-c", program, *rest]:
                sys.argv = ["-c", *rest]
                exec(program, {"__name__": "__main__"})
            case _:
                raise ValueError(args)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    if sys.stdout:
        sys.stdout.flush()
    os._exit(code or 0)  # without taking all modules apart, which is slower than most commands


if __name__ == "__main__":
    from microgpt.training.engines import prepare_engine
    from microgpt_cli.app import commands

    commands()  # imports them all
    for name in sys.argv[2:]:
        importlib.import_module(name)
    prepare_engine("compiled", "float32", uses=["training", "evaluation", "generation"])
    gc.collect()
    gc.freeze()
    _run(**_serve(socket.socket(fileno=int(sys.argv[1]))))
