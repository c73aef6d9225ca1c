"""Call functions of the page's engine in Node; the fixture `node` returns a `Node`."""

import json
import sys
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from commands import run_process
from hypothesis import Phase, settings
from hypothesis import strategies as st

import microgpt_page
from microgpt.errors import MicrogptError

ENGINE = Path(microgpt_page.__file__).parent / "web/engine"


@cache  # the first call takes a second
def assigned() -> list[str]:
    """Return the characters that Python's Unicode version assigns; Node's version can be newer."""
    every = map(chr, range(sys.maxunicode + 1))
    return [char for char in every if unicodedata.category(char) not in ("Cn", "Cs")]


CHARACTERS = st.deferred(lambda: st.sampled_from(assigned())) | st.characters(codec="ascii")
# Each example starts a process, so tests use few examples with many inputs each, and no shrinking.
few = settings(max_examples=2, phases=[Phase.explicit, Phase.generate])
PROGRAM = """
import {{ readFileSync }} from "node:fs";
{code}
const results = [];
for (const input of JSON.parse(readFileSync(0, "utf8"))) {{
  try {{
    results.push(await answer(input));
  }} catch (error) {{
    if (error.constructor.name !== "EngineError") throw error;
    results.push({{ error: error.message }});
  }}
}}
process.stdout.write(JSON.stringify(results));
"""

# JavaScript that loads the runs in FILE, and assembles `file`, the engine file of a page.
RUNS = """
const all = JSON.parse(readFileSync(FILE, "utf8"));
const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
const kernels = Object.entries(all.parts).map(([name, part]) => [name, bytes(part)]);
const file = { ...all.facts, parts: Object.fromEntries(kernels) };
"""


class Node:
    """Runs JavaScript that imports modules of the page's engine."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program, self._folder = program, folder

    def __call__(self, code: str, inputs: Iterable[Any]) -> list[Any]:
        """Return the result or the error of the code's function `answer` for each input."""
        command = [self._program, "--input-type=module", "-e", PROGRAM.format(code=code)]
        done = run_process(command, cwd=self._folder, stdin=json.dumps(list(inputs)))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def with_runs(self, file: Path, code: str, inputs: Iterable[Any]) -> list[Any]:
        """Return the results of code that uses `all`, the runs that Python wrote to `file`."""
        return self(RUNS.replace("FILE", json.dumps(str(file))) + code, inputs)


def as_read(text: str) -> str:
    """Return a text after a round trip through JSON, which joins surrogate pairs."""
    return json.loads(json.dumps(text))


def answer_of(function: Callable[..., Any], *args: Any) -> Any:
    """Return the result of a Python function as JSON would give it, or the error message."""
    try:
        return json.loads(json.dumps(function(*args)))
    except MicrogptError as error:
        return {"error": str(error)}
