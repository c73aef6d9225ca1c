"""How a command that was stopped exits."""

import subprocess
import sys

CODE = """
import threading, time
from microgpt_cli import main

def run():
    threading.Thread(target=time.sleep, args=(600,)).start()
    raise KeyboardInterrupt

main._run = run
main.command()
"""


def test_a_stopped_command_does_not_wait_for_threads() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
