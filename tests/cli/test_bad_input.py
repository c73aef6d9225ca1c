"""Tests that commands report invalid input in one line with the right exit code."""

import os
import shlex
from pathlib import Path

import pytest
from commands import refused

from microgpt_cli.training import train_request

FILES = {
    "names.txt": b"anna\nemma\n",
    "empty.txt": b"",
    "latin.txt": b"anna\nren\xe9\n",
    "xenia.txt": b"xenia\n",
    "towns.csv": b"name;land\nLinz;AT\n",
}
NOT_UTF8 = os.fsdecode(b"a\xff")
TRAIN = "train --data names.txt"


@pytest.fixture
def files(tmp_path: Path, text_model: Path) -> Path:
    """A directory with the model `text-model`, a file of names, and files that commands refuse."""
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (f"{TRAIN} --num-samples -1", "--num-samples (-n) must be >= 0, got -1"),
        (f"{TRAIN} --patience 2", "--patience requires --val-fraction"),
        (f"{TRAIN} --text stream --chat", "--chat cannot be used with --text stream"),
        (f"{TRAIN} --text stream --column a", "--column cannot be used with --text stream"),
        (f"{TRAIN} --text stream --val-fraction 0.2", "; add text"),
        (f"{TRAIN} --chat --num-samples 5", "--num-samples cannot be used with"),
        (f"{TRAIN} --val-fraction 0.001", "too few documents (2); add documents"),
        (f"{TRAIN} --from nowhere", "nowhere does not exist; use a directory"),
        (f"{TRAIN} --resume nowhere", "nowhere does not exist; "),
        (f"{TRAIN} --resume .", "has no checkpoint"),
        (f"{TRAIN} --resume names.txt", "names.txt is not a directory; "),
        (f"{TRAIN} --minutes 0.0001", "--minutes 0.0001 is too short, because the preparation"),
        (f"{TRAIN} --stepz 5", "no such option: --stepz"),
        (f"{TRAIN} --data more.txt", "--data is given more than once; it takes one value"),
        (f"{TRAIN} --output names.txt", "names.txt: File exists; use another"),
        (f"{TRAIN} --output /proc/nowhere/model", "/proc/nowhere/model"),
        (f"{TRAIN} --teacher text-model --tokenizer char", "--tokenizer cannot be used with --tea"),
        (f"{TRAIN} --teacher text-model --block-size 17", "of text-model (16 tokens) is shorter"),
        (f"{TRAIN} --from text-model --steps 9 --n-layer 9", "n_layer is 9, but the model to"),
        ("train --data none.txt --model a/model", "cannot read none.txt: No such file or directo"),
        ("train --data empty.txt --model a/model", "has no text; use another file"),
        ("train --data latin.txt", "is not UTF-8 text (line 2 has the byte 0xe9); it seems to be"),
        ("train --data towns.csv", "towns.csv is a table; read one column (--column NAME"),
        ("train --data=https://a.org/b.txt", "https://a.org/b.txt: download it first"),
        ("train --minutes 1m", "--minutes must be a number greater than 0, got '1m'"),
        ("train names.txt", "(names.txt); to read a file, use --data names.txt; see "),
        ("train --from '' --steps=1", "'--from': must not be empty"),
        ("train --preset names", "unknown preset 'names'; use one of names-10s, names-60s"),
        ("train --preset text", "requires your own data; pass it with --data"),
        ("train --preset chat --genome genome.json", "omit one of them"),
        ("generate text-model --num-samples 0", "--num-samples (-n) must be >= 1, got 0"),
        ("generate text-model --seed rnd", "seed must be an integer or random, got 'rnd'"),
        ("generate text-model --seed=-1", "seed must be >= 0, got -1"),
        ("generate text-model --threads 9999", "threads must be at most 1024, got 9999"),
        ("generate text-model --matches '(a'", "--matches '(a' is not a regular expression: "),
        ("generate text-model --matches 'a{99999999999}'", "--matches 'a{99999999999}' is not a"),
        (f"generate text-model {NOT_UTF8}", "does not contain"),
        ("generate -n", "see 'microgpt generate --help'"),
        *(
            (f"{command} once upon 'a time'", "'once' is not a model")
            for command in ("explain", "generate", "chat")
        ),
        *(
            (f"{command} text-model anna emma", "2 texts are given, but only one can be; put it in")
            for command in ("explain", "generate", "chat")
        ),
        *(
            (f"{command} mine --model mine", "--model cannot be combined with the positional arg")
            for command in ("info", "eval --data x", "export --output x", "serve")
        ),
        ("explain text-model anna --top=-1", "must be greater than or equal to 0"),
        ("eval text-model --data xenia.txt", "the vocabulary does not contain 'x'; use only"),
        ("score text-model --data=towns.csv", "read one column (--column NAME"),
        ("score text-model --column=a", "--column requires a file; add --data or omit --column"),
        ("score text-model --top=0", "must be greater than or equal to 1"),
        ("info --model=", "'--model-dir': must not be empty"),
        ("info names.txt --data names.txt", "--data describes a file; omit the model"),
        ("info --data names.txt --model-dir gone", "--data describes a file; omit the model"),
        ("info --chat", "--chat requires --data; add --data or omit --chat"),
        ("list nowhere", "nowhere does not exist"),
        ("ladder --data names.txt", "add documents"),
        ("ladder --data names.txt --budget -1", "--budget must be a number greater than 0"),
        ("verify --steps 1001", "steps must be from 1 to 1000, got 1001"),
        ("serve --port 70000", "--port must be less than or"),
        ("serve --model-dir nowhere", "nowhere does not exist"),
        ("fly", "no such command 'fly'; see 'microgpt --help'"),
        ("generatte", "Did you mean 'generate'?"),
        ("gener", "did you mean 'generate'?"),
        ("info names.txt empty.txt latin.txt", "--data takes one path: pass a folder"),
        (f"{TRAIN} empty.txt", "--data takes one path: pass a folder"),
        ("info --data my file.txt", "quote a path with spaces"),
    ],
)
def test_invalid_input_is_refused_and_changes_no_files(microgpt, files, command, problem) -> None:
    if command.startswith("serve"):
        pytest.importorskip("microgpt_serve")
    before = {path: path.stat().st_mtime_ns for path in files.rglob("*")}
    assert problem in refused(microgpt(*shlex.split(command)))
    assert {path: path.stat().st_mtime_ns for path in files.rglob("*")} == before


def test_a_diverged_run_fails_and_keeps_the_old_model(microgpt, files) -> None:
    old = (files / "text-model/weights.json").read_bytes()
    done = microgpt(*TRAIN.split(), "--output", "text-model", "--lr", "1e200", "--force")
    assert "the loss or its gradient became nan or infinite at step 2 of " in refused(done, 1)
    assert "try a learning rate" in done.stderr
    assert (files / "text-model/weights.json").read_bytes() == old


def test_training_with_a_genome_needs_the_evolution_package(microgpt, files, monkeypatch) -> None:
    monkeypatch.setattr(train_request, "plugin", lambda group, name: None)
    error = refused(microgpt(*TRAIN.split(), "--genome", "genome.json"))
    assert error.startswith("--genome requires microgpt-evolution")
