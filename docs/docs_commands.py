"""Run every command and Python block of README.md and docs/, as a reader would.

The blocks of a page run in order, in a directory with the data of a clone and some files of the
reader's own. A service runs until another one starts or the page ends. Prints the time per page in
seconds, or the block that failed. All pages take an hour or more, or with `--short` a minute.

    uv run python docs/docs_commands.py [--short] [docs/score.md ...]
"""

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from markdown_it import MarkdownIt

from microgpt import load_text
from microgpt.data.documents import bundled

ROOT = Path(__file__).resolve().parents[1]
RUN = {"bash", "sh", "console", "python"}
# Languages of blocks that are not run; `py` marks Python code that cannot run by itself.
SHOWN = {"", "c", "html", "json", "jsonl", "py", "toml", "text"}

# Commands and blocks that are not run: a pattern of their text, and the reason.
EXCUSED = (
    (r"git clone URL .*", "needs the address of the repository"),
    (r"pip install uv", "changes the installation"),
    (r"uv run microgpt play.*", "opens a browser; tests/page/test_play.py runs it"),
    (r"(?s).*splat\(x, 0\).*", "a kernel in the engine's own language"),
    (r".* research try --random.*", "trains dozens of models; tests/evolution/research does it"),
    (r"uv run --with torch python examples/.*", "needs PyTorch; tests/examples runs it"),
    (r"uv run --with .*", "downloads PyTorch or compiles llama.cpp; tests/exports runs both"),
    (r"(?s).*(film\.srt|microgpt-subtitles).*", "a package; test_docs_commands.py installs it"),
    (r"(?s).*(from llama_cpp|from transformers) import .*", "need packages that tests do not have"),
)
# Pages that show times, dates or numbers that differ between runs or processors.
NUMBERS = ("learn", "change", "scaling", "elsewhere", "research")
NUMBERS += ("measurements/loss",)
VARYING = {f"docs/{name}.md" for name in NUMBERS}
# How the tests shorten slow commands: a pattern, and its replacement.
SHORTER = (
    (
        r"(?<!--resume my-model )(?<!info --data data/names.txt )(--minutes [\d.]+|--budget \S+)",
        "--budget 5e9",
    ),
    (r"(--resume my-model) --minutes [\d.]+", r"\1 --minutes 0.03"),
    (r"microgpt ladder", "microgpt ladder --budget 5e9"),
    (r"--preset \S+", r"\g<0> --steps 20 --n-embd 16 --n-head 4 --n-layer 1"),
    (r"--chat --preset chat", r"\g<0> --data data/chat.jsonl"),
    (r"microgpt evolve(?!.*--(minutes|budget))", r"\g<0> --population 4 --generations 1"),
    (r"microgpt sweep \w+(?!.*--seeds)", r"\g<0> --seeds 1"),
    (r"research start experiment.py", r"\g<0> --budget 1e7"),
    (r"--data data/shakespeare.txt", r"\g<0> --steps 20"),
    (r"(?<= .)0000\b", "000"),
    (r"steps=1000\)", "steps=4)"),
    (r"(\[:5|\+ 5|random 2)0+", r"\1"),
    (r"in range\(10\)\]", "in range(2)]"),
)
# Commands, by page, that write the files that the reader of the page already has.
BEFORE = {
    "docs/character.md": r"printf 'question,answer\nIs there bread without gluten?,Rice bread.\n' "
    "> faq.csv",
}
# Program that runs all Python blocks of a page in one session.
SESSION = """
import sys
scope = {"__name__": "__main__"}
for path in map(str.strip, sys.stdin):
    exec(compile(open(path, encoding="utf-8").read(), path, "exec"), scope)
    print(end="\\0", flush=True)
"""
PRELUDE = """
set -e -o pipefail
uv() { shift; "$@"; }  # uv run COMMAND
curl() { command curl --silent --show-error --fail-with-body "$@"; }
microgpt() {
  case $1 in
    serve) serve microgpt "$@" ;;
    *) command microgpt "$@" ;;
  esac
}
is_up() { curl --output /dev/null "localhost:$PORT/health" 2> /dev/null; }
stop() {
  [ ! -e service.pid ] || kill "$(cat service.pid)" 2> /dev/null || true
  while is_up; do sleep 0.1; done
}
serve() {
  stop
  command "$@" &> service.log < /dev/null &
  echo $! > service.pid
  until is_up; do
    kill -0 $! || { cat service.log; exit 1; }
    sleep 0.1
  done
}
"""


class FailedError(Exception):
    """A block of a page failed, or its output differs from the output that the page shows."""


@dataclass(frozen=True)
class Block:
    """A fenced or an indented code block of a page."""

    page: str
    line: int
    language: str
    code: str
    below: str = ""  # expected output of a Python block: the content of a `text` block below it

    @property
    def commands(self) -> str:
        """The commands to run; in a console block, the lines that begin with a prompt."""
        return "".join(self._lines(shown=False))

    @property
    def output(self) -> str:
        """The output that the page shows."""
        return "".join(self._lines(shown=True)) or self.below

    def _lines(self, *, shown: bool) -> Iterator[str]:
        for line in self.code.splitlines(keepends=True):
            typed = line.startswith(("$ ", "> ")) or self.language != "console"
            if typed != shown:
                yield line[2:] if typed and self.language == "console" else line

    @property
    def excused(self) -> str:
        """The commands, without those that match a pattern of EXCUSED."""
        text = self.commands
        for pattern, _ in EXCUSED:
            text = re.sub(pattern, "", text)
        return text

    @property
    def shortened(self) -> str:
        """The commands, shortened to take less time."""
        text = self.excused
        for pattern, replacement in SHORTER:
            text = re.sub(pattern, replacement, text)
        return text


def pages() -> list[str]:
    """Return the paths of the documentation pages, relative to the root."""
    docs = sorted((ROOT / "docs").rglob("*.md"))
    return ["README.md", *(str(path.relative_to(ROOT)) for path in docs)]


def blocks(page: str) -> list[Block]:
    """Return all blocks of a page, including those within lists, quotes and indented tabs."""
    return list(_blocks((ROOT / page).read_text(encoding="utf-8"), page, 1))


def _blocks(text: str, page: str, first_line: int) -> Iterator[Block]:
    tokens = MarkdownIt().parse(text)
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        line = first_line + (token.map or [0])[0]
        if token.type == "code_block" and "```" in token.content:
            yield from _blocks(token.content, page, line)
        elif token.type in ("fence", "code_block"):
            language = (token.info.split() or [""])[0]
            is_shown = language == "python" and following and following.info == "text"
            below = following.content if is_shown and following else ""
            yield Block(page, line, language, token.content, below)


def run(page: str, folder: Path, *, short: bool) -> list[tuple[Block, str]]:
    """Run the blocks of a page in an empty folder, and return each with its standard output.

    Raises:
        FailedError: a block failed, or its output differs from that on the page.
    """
    prepare(folder)
    env, done = _environment(), []
    session = _start_session(folder, env)
    try:
        _execute(f"{page}, before", BEFORE.get(page, ""), folder, env)
        for block in blocks(page):
            text = block.shortened if short else block.excused
            if block.language not in RUN or not text.strip():
                continue
            place, as_shown = f"{page}:{block.line}", text == block.commands
            text = text.replace("8080", env["PORT"])
            if block.language == "python":
                printed = _continue(session, place, text, folder)
            else:
                printed = _execute(place, text, folder, env)
            is_other = block.output.rstrip("\n") not in ("", printed.rstrip("\n"))
            if as_shown and is_other and page not in VARYING:
                raise FailedError(f"{place}: does not show what is printed:\n\n{printed}")
            done.append((block, printed))
    finally:
        session.communicate()
        _execute(f"{page}, at the end", "stop", folder, env)
    return done


def prepare(folder: Path) -> None:
    """Write the files that a reader has: a clone's data and examples, and some of their own."""
    for name in ("apis", "apps", "data", "evolution", "examples", "libs"):
        (folder / name).symlink_to(ROOT / name)
    names = load_text(bundled("names.txt"))
    files = {
        "my.txt": names[:3000],
        "new.txt": [*names[3300:3600], "xq7zzk"],
    }
    for name, lines in files.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _environment() -> dict[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PORT": port, "NO_PROXY": "localhost"}


def _execute(place: str, text: str, folder: Path, env: dict[str, str]) -> str:
    """Run commands and return their standard output."""
    out, err = folder / ".stdout", folder / ".stderr"  # not pipes, which a service would keep open
    with out.open("w") as stdout, err.open("w") as stderr:
        streams = {"stdin": subprocess.DEVNULL, "stdout": stdout, "stderr": stderr}
        command = ["bash", "-c", PRELUDE + text]
        code = subprocess.run(command, cwd=folder, env=env, check=False, **streams).returncode
    printed = out.read_text(encoding="utf-8")
    if code:
        printed += err.read_text(encoding="utf-8")
        raise FailedError(f"{place}: exit code {code}\n\n{text}\n{printed}")
    return printed


def _start_session(folder: Path, env: dict[str, str]) -> subprocess.Popen[str]:
    with (folder / ".session").open("w") as stderr:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": stderr}
        command = [sys.executable, "-c", SESSION]
        return subprocess.Popen(command, cwd=folder, env=env, encoding="utf-8", **pipes)


def _continue(session: subprocess.Popen[str], place: str, text: str, folder: Path) -> str:
    """Run a Python block in a session and return its standard output."""
    (folder / ".snippet.py").write_text(text, encoding="utf-8")
    assert session.stdin
    assert session.stdout
    session.stdin.write(".snippet.py\n")
    session.stdin.flush()
    printed = ""
    while (letter := session.stdout.read(1)) != "\0":
        if not letter:
            printed += (folder / ".session").read_text(encoding="utf-8")
            raise FailedError(f"{place}: exit code {session.wait()}\n\n{text}\n{printed}")
        printed += letter
    return printed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", default=pages())
    parser.add_argument("--short", action="store_true", help="shorten slow commands")
    args = parser.parse_args()
    failed = 0
    for page in args.pages:
        start = perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            try:
                n_run = len(run(page, Path(folder), short=args.short))
            except FailedError as error:
                failed += 1
                print(error)
            else:
                print(f"{page}: {n_run} blocks in {perf_counter() - start:.0f} s", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
