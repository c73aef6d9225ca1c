import hashlib
import json
import os
from pathlib import Path

import pytest
from commands import ok, refused

from microgpt_evolution.runs.run_files import encode_run

# As evolve-rust's registry has it: an entry of genomes/loss, with keys of its own.
ENTRY = """{
  "id": "2026-02-27_loss_g01_0123456789", "objective": "loss", "author": "unknown", "notes": "",
  "source": "experiments/evolve_20260227_022211.log", "generation": 1, "rank": 1,
  "n_emb": 16, "n_head": 4, "n_layer": 1, "n_ctx": 16, "n_ff_exp": 4, "steps": 500, "lr": 0.0051,
  "loss": 1.5278, "origin": "random"
}
"""
OURS = """{
  "n_emb": 24, "n_ctx": 16, "n_layer": 2, "n_head": 4, "n_ff_exp": 3,
  "steps": 500,
  "lr": 0.0092, "loss": 1.4909, "generation": 8, "evolved": true,
  "version": 1, "objective": "loss", "fitness": "held-out", "val_loss": 2.21, "seed": 42
}
"""
MERGE = OURS.replace('  "steps"', '<<<<<<< ours\n  "steps"')
LOG = """=== MicroGPT Loss Evolution Engine ===
Experiment: experiments/evolve_20260227_022211.log

--- Generation 1/10 ---
> #1: Emb:16  Head:1 Lay:3 Ctx:12 FF:2 LR:0.0298 Steps:1000 | Loss: 1.6470 [random]
  #2: Emb:24  Head:4 Lay:2 Ctx:12 FF:4 LR:0.0088 Steps:1000 | Loss: 1.6784 [random]
  Best: 1.6470 | Worst: 1.6784 | Spread: 0.0314 | Diversity: 2/2 (100%) | 208s

--- Generation 2/10 ---
> #1: Emb:32  Head:2 Lay:1 Ctx:8  FF:1 LR:0.0010 Steps:300  | Loss: 1.4676 [mutant]
  #2: Emb:256 Head:4 Lay:2 Ctx:12 FF:4 LR:0.0088 Steps:1000 | Loss: 1.9784 [cross]
  #3: Emb:24  Head:4 Lay:2 Ctx:12 FF:4 LR:0.0088 Steps:10"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    """Genomes, a log, and names whose alphabet is that of the bundled ones."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/names.txt").write_text("abcdefghijklm\nnopqrstuvwxyz\n")
    for name, content in (("entry", ENTRY), ("ours", OURS), ("merge", MERGE)):
        (tmp_path / f"{name}.json").write_text(content)
    (tmp_path / "evolve.log").write_text(LOG)


def files_of(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_genome_show_prints_the_genes_the_model_and_the_origin(microgpt) -> None:
    done = microgpt("genome", "show", "entry.json")
    assert (done.returncode, done.stderr) == (0, "")
    # 500 documents of 14 tokens: 6 · 3504 weights in matrices, and 12 · 16 · 7.5 in attention.
    assert done.stdout.splitlines() == [
        "microgpt genome: Emb:16  Head:4 Lay:1 Ctx:16 FF:4 LR:0.0051 Steps:500",
        "genes",
        "  n_emb:     16",
        "  n_ctx:     16",
        "  n_layer:   1",
        "  n_head:    4",
        "  n_ff_exp:  4",
        "  steps:     500",
        "  lr:        0.0051",
        "model",
        "  species:         16-4-1-16-4",
        "  vocab_size:      27",
        "  num_params:      4192",
        "  training_flops:  157248000",
        "how it was found",
        "  last-document loss:  1.5278",
        "  generation:          1",
        "  evolved:             True",
        "  objective:           loss",
        "  fitness:             last-doc",
        f"  sha256:              {hashlib.sha256(ENTRY.encode()).hexdigest()}",
    ]


def test_genome_show_can_print_json_and_read_other_data(microgpt, tmp_path) -> None:
    (tmp_path / "ab.txt").write_text("ab\nba\n")
    done = microgpt("genome", "show", "ours.json", "--input", "ab.txt", "--json")
    facts = json.loads(done.stdout)
    given = json.loads(OURS)
    given.pop("version")
    assert {key: facts[key] for key in given} == given
    assert (facts["vocab_size"], facts["species"]) == (3, "24-4-2-16-3")
    assert "head" not in facts


def test_genome_show_says_that_the_search_used_other_data(microgpt, tmp_path) -> None:
    text = OURS.replace('"seed": 42', f'"data_sha256": "{"ab" * 32}"')
    (tmp_path / "genome.json").write_text(text)
    done = ok(microgpt("genome", "show"))
    assert done.stderr == (
        "note: the genome was found with data other than data/names.txt; "
        "pass that data with --data\n"
    )


@pytest.mark.parametrize(
    ("command", "file", "problem"),
    [
        ("show", "merge.json", "merge.json, line 3: merge conflict marker '<<<<<<< ours'; keep "
         "only one of the genomes"),
        ("use", "data", "cannot read data/genome.json: No such file or directory"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_a_genome_is_refused(microgpt, tmp_path, command, file, problem) -> None:
    before = files_of(tmp_path)
    assert refused(microgpt("genome", command, file)) == problem
    assert files_of(tmp_path) == before


def test_genome_use_activates_a_genome(microgpt, tmp_path) -> None:
    done = microgpt("genome", "use", "entry.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Active genome set from: entry.json\n"
    assert (tmp_path / "genome.json").read_text() == ENTRY
    assert microgpt("genome", "use", "entry.json").stderr == ""  # nothing is replaced


@pytest.mark.parametrize("old", [OURS, MERGE])
def test_genome_use_keeps_a_backup_of_the_previous_genome(microgpt, tmp_path, old) -> None:
    (tmp_path / "genome.json").write_text(old)
    name = f"genome-{hashlib.sha256(old.encode()).hexdigest()[:8]}.json"
    done = microgpt("genome", "use", "entry.json")
    assert done.stderr.endswith(f"note: the previous genome.json is kept as {name}\n")
    assert ("note: the genome has last-document loss " in done.stderr) is (old == OURS)
    assert (tmp_path / "genome.json").read_text() == ENTRY
    assert (tmp_path / name).read_text() == old


def test_genome_use_accepts_a_search_directory(microgpt, tmp_path) -> None:
    run = tmp_path / "experiments/evolve_1"
    run.mkdir(parents=True)
    (run / "run.json").write_bytes(encode_run({"objective": "loss"}))
    assert refused(microgpt("genome", "use", "experiments/evolve_1")) == (
        "experiments/evolve_1 has no winner yet; resume the search with: "
        "microgpt evolve --resume experiments/evolve_1"
    )
    assert not (tmp_path / "genome.json").exists()
    (run / "genome.json").write_text(OURS)
    done = microgpt("genome", "use", "experiments/evolve_1")
    assert done.stdout == "Active genome set from: experiments/evolve_1\n"
    done = microgpt("genome", "use", "entry.json")
    assert done.stderr.endswith("the previous genome.json is the winner of experiments/evolve_1\n")
    assert not list(tmp_path.glob("genome-*"))


def test_genome_use_reports_that_it_cannot_write_the_genome(microgpt, tmp_path) -> None:
    (tmp_path / "genome.json").mkdir()
    assert "genome.json" in refused(microgpt("genome", "use", "entry.json"))
    assert not [name for name in files_of(tmp_path) if name.startswith(".")]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_import_log_turns_an_evolve_rust_log_into_a_run(microgpt, tmp_path, line_end) -> None:
    (tmp_path / "evolve.log").write_bytes(LOG.replace("\n", line_end).encode("utf-8-sig"))
    done = ok(microgpt("genome", "import-log", "evolve.log"))
    (name,) = os.listdir(tmp_path / "experiments")
    assert name.startswith("import_")
    assert done.stdout.splitlines() == [
        f"Imported: experiments/{name}",
        "  generations:  2",
        "  candidates:   3",
        "  best:         Emb:32  Head:2 Lay:1 Ctx:8  FF:1 LR:0.0010 Steps:300  | Loss: 1.4676, "
        "generation 2, last-doc",
    ]
    assert done.stderr.splitlines() == [
        "note: skipped candidates with values out of range: 1, such as "
        "n_emb must be between 1 and 128, got 256",
        f"note: to use the best genome, run: microgpt genome use experiments/{name}",
    ]
    run = tmp_path / "experiments" / name
    assert files_of(run) == {"run.json", "evaluations.jsonl", "genome.json"}
    assert json.loads((run / "run.json").read_text())["settings"] == {
        "objective": "loss",
        "fitness": "last-doc",
        "seed": None,
        "imported_from": str(tmp_path / "evolve.log"),
    }
    lines = [json.loads(line) for line in (run / "evaluations.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["g1-1", "g1-2", "g2-1"]
    assert [lines[2][key] for key in ("origin", "fitness", "last_loss", "val_loss", "seed")] == [
        "mutant", 1.4676, 1.4676, None, None
    ]  # fmt: skip
    assert microgpt("genome", "use", f"experiments/{name}").returncode == 0
    assert "generation 2 (loss: 1.4676)" in microgpt("run", "--silent").stdout


def test_each_imported_log_becomes_a_run_that_cannot_be_resumed(microgpt, tmp_path) -> None:
    for _ in range(2):
        microgpt("genome", "import-log", "evolve.log")
    runs = os.listdir(tmp_path / "experiments")
    assert len(runs) == 2
    assert refused(microgpt("evolve", "--resume", f"experiments/{runs[0]}")) == (
        f"experiments/{runs[0]} was imported from a log and cannot be resumed; "
        f"use its best genome with: microgpt genome use experiments/{runs[0]}"
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "evolve.log has no line like"), (LOG.encode("utf-16"), "evolve.log is not UTF-8 text")],
)
def test_import_log_refuses_a_file_that_is_not_a_log(microgpt, tmp_path, content, problem) -> None:
    (tmp_path / "evolve.log").write_bytes(content)
    assert problem in refused(microgpt("genome", "import-log", "evolve.log"))
    assert not (tmp_path / "experiments").exists()
