"""What the tests of the founding documents share: the commands, and models."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = Path(sys.executable).parent
for variable in ("MODEL_DIR", "PORT"):
    os.environ.pop(variable, None)
Run = Callable[..., subprocess.CompletedProcess[str]]

NAMES = """kamon ann karai jaire vialan karia yeran anna areli kaina
konna keylen liole alerin earan lenne kana lara alela anton"""

CONVERSATIONS = """\
[{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi there"}]
[{"role": "user", "content": "how are you"}, {"role": "assistant", "content": "fine"}, \
{"role": "user", "content": "bye"}, {"role": "assistant", "content": "see you"}]

[{"role": "user", "content": "what is one plus one"}, {"role": "assistant", "content": "two"}]
"""


@pytest.fixture(scope="session")
def transcript() -> str:
    """What the document shows of Karpathy's run."""
    return (
        "num docs: 32033\nvocab size: 27\nnum params: 4192\nstep 1000 / 1000 | loss 2.6497\n"
        "\n--- inference (new, hallucinated names) ---\n"
        + "".join(f"sample {i:2d}: {name}\n" for i, name in enumerate(NAMES.split(), 1))
    )


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a command to its end, which must have this exit status; None is any."""

    def to_its_end(
        command: str, *args: str, cwd: Path, code: int | None = 0, stdin: str = "", **env: str
    ) -> subprocess.CompletedProcess[str]:
        options = {"input": stdin, "capture_output": True, "encoding": "utf-8", "timeout": 450}
        environment = {**os.environ, **env}
        done = subprocess.run([COMMANDS / command, *args], cwd=cwd, env=environment, **options)
        assert code in (done.returncode, None), done.stderr
        assert "Traceback" not in done.stderr
        return done

    return to_its_end


@pytest.fixture(scope="session")
def compiled(run: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip what takes hours on the reference engine if there is no package of the compiled one."""
    args = ("train", "--engine", "compiled", "--steps", "1", "--output", "one-step")
    done = run("microgpt", *args, cwd=tmp_path_factory.mktemp("compiled"), code=None)
    if done.returncode == 2 and find_spec("microgpt_engine") is None:
        pytest.skip("the compiled engine is not installed")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def names(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with names.txt, the model `output` and what its training printed, train.txt."""
    folder = tmp_path_factory.mktemp("names")
    shutil.copy(ROOT / "data" / "names.txt", folder)
    args = ("train", "--input", "names.txt", "--output", "output", "--steps", "1000")
    (folder / "train.txt").write_text(run("microgpt", *args, cwd=folder).stdout, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def chat(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with convos.jsonl and the small model `chat-model` that knows them by heart."""
    folder = tmp_path_factory.mktemp("chat")
    (folder / "convos.jsonl").write_text(CONVERSATIONS, encoding="utf-8")
    shape = ("--n-embd", "32", "--n-head", "4", "--n-layer", "1", "--block-size", "64")
    data = ("--input", "convos.jsonl", "--output", "chat-model", "--chat", "--steps", "200")
    run("microgpt", "train", *data, *shape, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def by_hand() -> Callable[..., Path]:
    """Write the two files of a model whose next token depends on the last one alone.

    `logits[a, b]` is that of token b after token a. Attention and MLP add nothing, and the
    embeddings are the unit vectors, which RMSNorm multiplies by the root of n_embd.
    """

    def write(folder: Path, chars: str, special: list[str], logits: dict[tuple[int, int], float]):
        n, vocab_size = 8, len(chars) + len(special) + 1
        lm_head = [
            [logits.get((a, b), -50.0) / n**0.5 for a in range(n)] for b in range(vocab_size)
        ]
        weights = {
            "wte": [[float(a == b) for b in range(n)] for a in range(vocab_size)],
            "wpe": _zeros(16, n),
            "lm_head": lm_head,
            **{f"layer0.attn_w{name}": _zeros(n, n) for name in "qkvo"},
            "layer0.mlp_fc1": _zeros(4 * n, n),
            "layer0.mlp_fc2": _zeros(n, 4 * n),
        }
        meta = {"n_embd": n, "n_head": 2, "n_layer": 1, "block_size": 16, "chars": list(chars)}
        meta |= {"vocab_size": vocab_size, **({"special_tokens": special} if special else {})}
        folder.mkdir()
        (folder / "weights.json").write_text(json.dumps(weights), encoding="utf-8")
        (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
        return folder

    return write


def _zeros(rows: int, columns: int) -> list[list[float]]:
    return [[0.0] * columns for _ in range(rows)]
