import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_files import edit

from microgpt.errors import CheckpointError
from microgpt_evolution.evolution_errors import GenomeError, StudyError
from microgpt_evolution.genome import Genome
from microgpt_evolution.genome_file import GenomeRecord, read_genome, write_genome
from microgpt_evolution.study_settings import read_settings
from microgpt_evolution.trial import read_trials

EVOLVE_RUST_FILE = """{
  "n_emb": 24,
  "n_ctx": 16,
  "n_layer": 2,
  "n_head": 4,
  "n_ff_exp": 3,
  "steps": 500,
  "lr": 0.0092,
  "loss": 1.4909,
  "generation": 8,
  "evolved": true
}"""
GENOME = Genome(n_embd=24, block_size=16, n_layer=2, n_head=4, n_ff_exp=3, steps=500, lr=0.0092)
FACTS = {"fitness": "held-out", "val_loss": 2.21, "seed": 42, "data_sha256": "ab" * 32}
RECORD = GenomeRecord(genome=GENOME, loss=1.4909, generation=8, **FACTS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "genome.json"


def test_a_genome_file_of_evolve_rust_can_be_read(path: Path) -> None:
    path.write_text(EVOLVE_RUST_FILE)
    expected = GenomeRecord(genome=GENOME, loss=1.4909, generation=8, fitness="last-doc")
    assert read_genome(path) == expected


def test_unknown_keys_in_a_genome_file_are_ignored(path: Path) -> None:
    path.write_text(EVOLVE_RUST_FILE.replace("{", '{"author": "me", "__dataclass_self__": [],'))
    assert read_genome(path).genome == GENOME


def test_a_genome_file_lists_the_keys_of_evolve_rust_first(path: Path) -> None:
    write_genome(path, RECORD)
    lines = path.read_text().splitlines()
    source = EVOLVE_RUST_FILE.splitlines()
    assert lines[: len(source) - 2] == source[:-2]
    added = ["version", "objective", *FACTS]
    assert [*json.loads(path.read_text())] == [*json.loads(EVOLVE_RUST_FILE), *added]


@settings(max_examples=15)  # few examples, because each one writes files
@given(
    loss=st.floats(allow_nan=False, allow_infinity=False),
    generation=st.integers(0, 10**9),
    lr=st.floats(1e-6, 1),
    score=st.none() | st.floats(-100, 10),
    head=st.none() | st.sampled_from(["weaver", "mirror", "spark"]),
)
def test_a_written_genome_is_read_and_rewritten_unchanged(
    tmp_path_factory, loss, generation, lr, score, head
) -> None:
    path = tmp_path_factory.mktemp("genome") / "genome.json"
    facts = {"loss": loss, "generation": generation, "head": head, "score": score}
    record = GenomeRecord(genome=replace(GENOME, lr=lr), objective="hydra", **facts)
    write_genome(path, record)
    content = path.read_bytes()
    assert read_genome(path) == record
    write_genome(path, read_genome(path))
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == ["genome.json"]


def test_a_failed_write_of_a_genome_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "genome.json").mkdir()
    with pytest.raises(CheckpointError, match=r"genome\.json is a directory; use another path"):
        write_genome(tmp_path / "genome.json", RECORD)
    assert os.listdir(tmp_path) == ["genome.json"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", r"genome\.json: invalid JSON: "),
        ("[" * 100_000, "invalid JSON: "),
        (EVOLVE_RUST_FILE.replace("0.0092", "1e999"), "lr must be .* greater than 0, got inf"),
        ("[1, 2]", "it is not a genome, because it is not a JSON object"),
        ('{"version": null}', "it is not a genome, because it lacks n_emb, n_ctx, .*generation$"),
        (r'{"version": "\ud800"}', r"genome\.json: invalid JSON: "),
        (EVOLVE_RUST_FILE.replace('"lr"', '"rl"'), "it is not a genome, because it lacks lr$"),
        ('{"version": 2, "genome": {}}', "version is 2, but this microgpt reads only 1 and 4; use"),
        (EVOLVE_RUST_FILE.replace("24", "25"), r"n_embd \(25\) must be divisible by n_head \(4\)"),
        (EVOLVE_RUST_FILE.replace("1.4909", "null"), "it is not a genome, because it lacks loss$"),
        ("\udcff", r"genome\.json: it is not UTF-8 text; use another file$"),
    ],
)
def test_an_unusable_genome_file_gives_a_one_line_error(path: Path, content, problem) -> None:
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(GenomeError, match=problem) as error:
        read_genome(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (os.mkfifo, "not a regular file"),
        (lambda path: path.touch() or os.truncate(path, 2**31), "larger than"),
        (Path.mkdir, "Is a directory"),
    ],
)
def test_study_files_must_be_regular_files_of_limited_size(tmp_path: Path, make, problem) -> None:
    for name in ("genome.json", "settings.json", "trials.jsonl"):
        make(tmp_path / name)
    for read in (read_settings, read_trials):
        with pytest.raises(StudyError, match=problem):
            read(tmp_path)
    with pytest.raises(GenomeError, match=problem):
        read_genome(tmp_path / "genome.json")


def test_only_a_valid_budgeted_genome_can_be_read_again(path: Path, small) -> None:
    facts = {"operations": 1e9, "val_loss": 2.0, "generation": 1, "text": "lines", "budget": 4e9}
    facts |= {"seed": 1, "data_sha256": "0" * 64, "version": 4}
    record = GenomeRecord(genome=small, **facts)
    write_genome(path, record)
    assert read_genome(path) == record
    for changes, problem in (
        ({"genome": {"n_embd": 0}}, "n_embd must be >= 1, got 0"),
        ({"operations": -1}, "operations: "),
        ({"text": "book"}, "text: "),
    ):
        write_genome(path, record)
        edit(path, **changes)
        with pytest.raises(GenomeError, match=problem):
            read_genome(path)
