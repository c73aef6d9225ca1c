"""Fuzz the parsers of files and requests, guided by coverage, with atheris.

    uv run python bench/fuzz.py [--only meta.json] [--seconds 60]

The parsers and their seed inputs are in bench/fuzz_parsers.py. An input fails if parsing raises
anything but a MicrogptError of one printable line, takes more than 10 seconds, raises the peak
memory by more than 64 MiB plus twice its size, writes outside its folder, or starts a process.
Each kind of failure is printed once, and its input is kept in build/fuzz. The counts of all runs
are added up; `--again` resets them. A parser's time starts after its seed inputs are parsed.
"""

import copy
import json
import os
import random
import re
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

try:
    import atheris
except ImportError:  # atheris is absent in tests, which need only `Attack`
    atheris = None


def instrumented() -> Any:
    """Return a context manager that makes imported modules report coverage, except the engine.

    A module is instrumented when it is first imported, here or in the process that fuzzes a parser.
    """
    own = ["microgpt", "microgpt_evolution", "microgpt_serve", "microgpt_cli"]
    if atheris is None:
        return nullcontext()
    return atheris.instrument_imports(include=own, exclude=["microgpt_engine"])


with instrumented():
    from harness import ROOT, needs, parsed, results_file

    from microgpt.errors import MicrogptError

KEPT = ROOT / "build" / "fuzz"
COUNTS, MEMORY = "counts.json", "/dev/shm"
LIMIT_S, ROOM, MAX_LINE = 10, 64 * 2**20, 4096
DEEP = "\x01"  # placeholder that becomes 2,000 nested brackets
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2, 0.5, -0.0, 1e308, 1e-308, float("nan"), float("inf"), 2**31,
    2**53 + 1, 2**63, 2**64, 10**400, "", " ", "\0", "\n", "a\nb", "\ud800", "é", "\u202e", "😀",
    "\x1b[2J", "a" * 2000, "<|user|>", "../../x", "__dataclass_self__", DEEP, [], {}, [[]], [None],
    {"": None}, [{}],
]  # fmt: skip
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"}
STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "socket.connect"}


def main() -> None:
    needs("atheris", "onnx")
    with instrumented():
        from fuzz_parsers import PARSERS
    options = parsed(__doc__, only=PARSERS, seconds=60.0, again=False)
    KEPT.mkdir(parents=True, exist_ok=True)
    path = results_file("fuzz")
    for name in [options.only] if options.only else PARSERS:
        found = fuzzed(name, PARSERS[name], options.seconds)
        print(f"{name}: {found}", flush=True)
        before = json.loads(path.read_text())
        kept = {each: before[each] for each in PARSERS if each in before}
        if name in kept and not options.again:
            found = {fact: round(n + kept[name][fact], 3) for fact, n in found.items()}
        path.write_text(json.dumps(kept | {name: found}, indent=1) + "\n")


def fuzzed(name: str, maker: Any, seconds: float) -> dict[str, float]:
    """Fuzz a parser in a separate process; return the numbers of inputs and minutes."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        if not (pid := os.fork()):
            run_child(name, maker, seconds, folder)
        if status := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
            log = Path(folder, "log").read_text(errors="replace")
            print(f"{name} CRASHED ({status}):\n{log[-3000:]}", flush=True)
        for crash in Path(folder).glob("artifact-*"):
            (KEPT / f"{name} {crash.name}").write_bytes(crash.read_bytes())
        counts: dict[str, float] = json.loads(Path(folder, COUNTS).read_text())
        return counts


def run_child(name: str, maker: Any, seconds: float, folder: str) -> NoReturn:
    """Fuzz a parser in a child process until its time is over; its output goes to a log."""
    try:
        os.chdir(folder)
        os.dup2(os.open("log", os.O_WRONLY | os.O_CREAT), 2)
        with instrumented():
            seeds, parse = maker(Path(folder, "files"))
            for seed in seeds:
                parse(seed)  # instruments the parser's modules, and fails if a seed is invalid
        Path("corpus").mkdir()
        for i, seed in enumerate(seeds):
            Path("corpus", str(i)).write_bytes(seed)
        attack = Attack(name, parse)
        sys.addaudithook(attack.audit)
        most = max(4096, *(2 * len(seed) for seed in seeds))
        limits = {"max_total_time": max(1, int(seconds)), "timeout": LIMIT_S, "max_len": most}
        flags = {**limits, "rss_limit_mb": 4096, "artifact_prefix": "artifact-"}
        arguments = [f"-{flag}={value}" for flag, value in flags.items()]
        atheris.Setup([sys.argv[0], *arguments, "corpus"], attack.attempt, custom_mutator=mutated)
        atheris.Fuzz()  # ends the process
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(1)


class Attack:
    """Runs a parser, which may write only to the working directory, and records its failures."""

    def __init__(self, name: str, parse: Callable[[bytes], object]) -> None:
        self.name, self.parse = name, parse
        self.folder, self.is_armed, self.used = os.getcwd(), False, time.process_time()
        self.n, self.noted, self.kinds = 0, 0.0, set[str]()

    def attempt(self, content: bytes) -> None:
        """Parse an input, and keep it if it fails in a new way."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        problem, self.is_armed = "", True
        try:
            self.parse(content)
        except MicrogptError as error:
            text = str(error)
            if not text.isprintable() or not 0 < len(text) < MAX_LINE:
                problem = f"not one printable line: {place_of(error)} {text[:300]!r}"
        except BaseException as error:  # a panic in Rust code is not an Exception
            problem = f"{type(error).__name__}: {place_of(error)} {error!s:.300}"
        self.is_armed = False
        grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak)
        if grown > 2 * len(content) + ROOM:
            problem = problem or f"memory: {grown:,} bytes more for an input of {len(content):,}"
        self.n += 1
        kind = re.sub(r"\d+|'.*", "", problem)[:80]
        if problem and kind not in self.kinds:
            self.kinds.add(kind)
            file = KEPT / f"{self.name} {abs(hash(kind)) % 10**8:08}"
            file.write_bytes(content)
            print(f"{self.name} FAILS {file.name}: {problem}", flush=True)
        if time.time() > self.noted + 1:
            self.noted, minutes = time.time(), (time.process_time() - self.used) / 60
            counts = {"inputs": self.n, "minutes": round(minutes, 3)}
            Path(self.folder, COUNTS).write_text(json.dumps(counts))

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        """Raise EscapeError if a process or connection starts, or a write is outside the folder."""
        if not self.is_armed:
            return
        writes = event in CHANGES
        if event == "open":
            writes = bool(args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        if event in STARTS or (writes and not self.is_inside(args[0])):
            raise EscapeError(f"{event} {args!s:.200}")

    def is_inside(self, path: object) -> bool:
        """Return whether a path is in the folder; a file descriptor counts as inside."""
        is_path = isinstance(path, str | bytes | os.PathLike)
        return not is_path or os.path.realpath(os.fsdecode(path)).startswith(self.folder)


class EscapeError(BaseException):
    """A parser wrote outside its folder, or started a process or a connection."""


def place_of(error: BaseException) -> str:
    """Return the file and the line in which an exception was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def mutated(data: bytes, max_size: int, seed: int) -> bytes:
    """Return an input with changed JSON values, or with bytes mutated by libFuzzer."""
    rng = random.Random(seed)
    changed = changed_json(data, rng) if rng.random() < 0.7 else None
    return atheris.Mutate(data, max_size) if changed is None else changed[:max_size]


def changed_json(data: bytes, rng: random.Random) -> bytes | None:
    """Return an input with changed values in its JSON, or None if it contains no JSON."""
    start, end = json_in(data, rng)
    try:
        box = [json.loads(data[start:end])]
    except (ValueError, RecursionError):
        return None
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        change(box, rng)
    text = json.dumps(box[0], ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    text = text.replace(json.dumps(DEEP).encode(), b"[" * 2000)
    is_safetensors = start == 8 and end < len(data)
    head = len(text).to_bytes(8, "little") if is_safetensors else data[:start]
    return head + text + data[end:]


def json_in(data: bytes, rng: random.Random) -> tuple[int, int]:
    """Return the start and end of JSON in an input: a safetensors header, a line, or all of it."""
    size = int.from_bytes(data[:8], "little")
    if size + 8 <= len(data) and data[8:9] == b"{":
        return 8, 8 + size
    lines = [found.span() for found in re.finditer(rb"^[{\[].*[}\]]$", data, re.MULTILINE)]
    return rng.choice(lines) if lines else (0, len(data))


def change(box: list[Any], rng: random.Random) -> None:
    """Change a random value in a JSON array, at any depth."""
    holders: list[Any] = [box]
    for holder in holders:
        inside = holder.values() if isinstance(holder, dict) else holder
        holders += [each for each in inside if isinstance(each, dict | list) and each]
    holder = rng.choice(holders)
    key = rng.choice([*holder] if isinstance(holder, dict) else range(len(holder)))
    old = holder[key]
    other = rng.choice(holders)
    taken = rng.choice([*other.values()] if isinstance(other, dict) else other)
    kinds: list[Callable[[], Any]] = [
        lambda: copy.deepcopy(rng.choice(ODD)),
        lambda: json.loads(json.dumps(taken)),
        lambda: [old],
        lambda: old + rng.choice((1, -1)) if isinstance(old, int | float) else "",
        lambda: old[: rng.randrange(len(old) + 1)] if isinstance(old, str | list) else {"a": old},
        lambda: old * 2 if isinstance(old, str | list) else old,
    ]
    if rng.random() < 0.15 and holder is not box:
        del holder[key]
    elif rng.random() < 0.1 and isinstance(holder, dict):
        holder[rng.choice([each for each in ODD if isinstance(each, str)])] = old
    else:
        holder[key] = rng.choice(kinds)()


def table(kept: dict[str, dict[str, float]]) -> str:
    """Return the counts of all parsers in one sentence."""
    inputs = sum(each["inputs"] for each in kept.values())
    minutes = [each["minutes"] for each in kept.values()]
    return (
        f"{len(kept)} parsers have read {inputs / 1e6:.0f} million inputs, each for "
        f"{60 * min(minutes):.0f} to {60 * max(minutes):.0f} seconds of processor time."
    )


TABLES = {"fuzzing": table}

if __name__ == "__main__":
    main()
