import re
from pathlib import Path

from microgpt_evolution.genome import Genome
from microgpt_evolution.organism import Evaluation, Trial
from microgpt_evolution.sweep.sweep_records import SweepRecords, SweepSettings
from microgpt_report.sweep_report import sweep_report


def sweep(folder: Path, name: str, steps: tuple[int, ...], failed: int = 0, **more) -> Path:
    """Record a sweep whose training runs took 2 s and 7 operations each, and return its path."""
    settings = SweepSettings(
        sweep="steps",
        genomes=tuple(Genome(steps=n) for n in steps),
        seeds=(1, 2),
        input="/names.txt",
        data_sha256="abc",
        **more,
    )
    with SweepRecords.begin(folder, name, settings) as records:
        for config, seed in records.settings.tasks:
            losses = dict.fromkeys(("val_loss", "last_loss", "train_loss"), 2.0)
            is_ok = config.steps != failed
            outcome = {"status": "ok", "seconds": 2.0, **losses} if is_ok else {"status": "crashed"}
            records.add(Trial(config, seed), Evaluation(**outcome), flops=7, n_params=4192)
    return records.directory


def test_a_training_run_shared_by_two_sweeps_counts_once(tmp_path) -> None:
    one = sweep(tmp_path, "one", (100, 300))
    other = sweep(tmp_path, "other", (300, 900))
    report = sweep_report([one, other])
    assert report.facts["training runs"] == "6 of 6 finished"
    assert "12 s" in report.facts["cost"]
    assert re.search("3 configurations in 12 s of training", report.headline)
    failed = sweep(tmp_path, "failed", (100, 300), failed=300)
    assert sweep_report([failed, other]).facts["training runs"] == "6 of 6 finished"


def test_losses_on_documents_that_were_read_are_marked(tmp_path) -> None:
    run = sweep(tmp_path, "one", (100, 300), contamination={"validation": 0.5})
    report = sweep_report([run])
    assert report.headline.startswith("Held-out loss (contamination 50 %) ")
    assert report.facts["result"].endswith(" (contamination 50 %)")
