"""Files that microgpt wrote before its modules were rearranged still load, resume and reproduce.

v0.1/ was written by commands of commit b494550: four models, two stopped training runs, finished
searches of each objective, a stopped one, a sweep and three genomes, all of names.txt (200 names).
"""

import json
import shutil
from pathlib import Path

import pytest

from microgpt import InferenceGpt, Message, load
from microgpt_evolution.genome_file import read_genome

FILES = Path(__file__).parent / "v0.1"
RUNS = ("loss", "aesthetic", "hydra")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A copy in the directory where commands run."""
    return Path(shutil.copytree(FILES, tmp_path, dirs_exist_ok=True))


@pytest.mark.parametrize("name", ["char", "char-safetensors", "bpe"])
def test_a_model_directory_of_v0_1_loads(name: str) -> None:
    samples = InferenceGpt(load(FILES / name)).generate(num_samples=3)
    assert len(samples) == 3


def test_a_chat_model_directory_of_v0_1_loads() -> None:
    assert InferenceGpt(load(FILES / "chat")).chat([Message("user", "hi")]).finish_reason


@pytest.mark.parametrize("objective", RUNS)
def test_a_genome_of_v0_1_loads(objective: str) -> None:
    assert read_genome(FILES / "genomes" / f"genome-{objective}.json").genome.steps > 0


@pytest.mark.slow
def test_a_reference_training_run_of_v0_1_resumes_exactly(files, microgpt) -> None:
    """Python's floats are the same on every processor: this is what the old version ended with."""
    assert microgpt("train", "--resume", "stopped-reference").returncode == 0
    meta = json.loads((files / "stopped-reference/meta.json").read_text())
    old = "a4172c2160642f69e5f960506420cce20554031d25cc35d1edc24fa856279d30"
    assert meta["weights_sha256"] == old


@pytest.mark.slow
def test_a_compiled_training_run_of_v0_1_resumes(files, microgpt) -> None:
    assert microgpt("train", "--resume", "stopped-compiled", "--steps", "100000").returncode == 0
    meta = json.loads((files / "stopped-compiled/meta.json").read_text())
    assert meta["training"]["steps"] == 100_000


@pytest.mark.slow
def test_a_search_of_v0_1_resumes_from_its_records(files, microgpt) -> None:
    run = files / "runs/loss-stopped"
    before = (run / "evaluations.jsonl").read_bytes()
    assert microgpt("evolve", "--resume", run).returncode == 0
    after = (run / "evaluations.jsonl").read_bytes()
    assert after.startswith(before)
    assert (run / "genome.json").exists()


@pytest.mark.slow
def test_runs_of_v0_1_can_be_reported_and_analyzed(files, microgpt) -> None:
    for name in RUNS:
        assert microgpt("report", f"runs/{name}").returncode == 0
        assert (files / "runs" / name / "report.html").exists()
    assert "steps" in microgpt("analyze", "runs/sweep").stdout
