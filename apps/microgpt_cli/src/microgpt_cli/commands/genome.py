"""`microgpt genome`: show, select and import genomes."""

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt_cli.terminal.console import note, print_facts, terminal_safe
from microgpt_cli.terminal.help import GroupedCommand, command_group
from microgpt_cli.terminal.options import (
    AS_JSON,
    DATA,
    DEFAULT_GENOME,
    DEFAULT_TEXT,
    RUNS,
    argument,
    option,
)

if TYPE_CHECKING:
    from microgpt_evolution.genome_file import AnyRecord

GENOME_HELP = "Genome file, or run directory (the winner's genome is used)."
N_HEX = 8  # number of hash digits in the file name of a backup

genome = command_group("Show, select and import genomes.")


@genome.command(cls=GroupedCommand, epilog="microgpt genome show genome.json")
def show(
    file: Path = argument(DEFAULT_GENOME, GENOME_HELP, "GENOME", show_default=True),
    input: Path | None = option(
        None,
        f"Training data, which determines the vocabulary size.  [default: data/{DEFAULT_TEXT}]",
        *DATA,
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Print a genome, its model and its origin."""
    from microgpt_evolution.genome_file import decode_genome

    path, content = _content(file)
    record = decode_genome(content, path)
    genes = asdict(record.genome)
    model = _model_facts(record, input)
    beside = (*genes, "genome", "version")
    found = {k: fact for k, fact in asdict(record).items() if k not in beside and fact is not None}
    found["sha256"] = hashlib.sha256(content).hexdigest()
    if as_json:
        print(json.dumps({**genes, **model, **found}))
        return
    found = {"last-document loss" if k == "loss" else k: fact for k, fact in found.items()}
    print(f"microgpt genome: {record.genome.describe().rstrip()}")
    for title, facts in (("genes", genes), ("model", model), ("how it was found", found)):
        print(title)
        print_facts(facts)


@genome.command(cls=GroupedCommand, epilog="microgpt genome use experiments/evolve_…")
def use(
    source: Path = argument(..., GENOME_HELP, "GENOME"),
) -> None:
    """Copy a genome to genome.json.

    The previous genome.json is kept under another name, unless a run contains it.
    """
    from microgpt.errors import MicrogptError
    from microgpt.files.atomic_files import publish
    from microgpt_evolution.genome_file import decode_genome, read_genome, score_of

    path, content = _content(source)
    record = decode_genome(content, path)
    with suppress(MicrogptError):  # there is no previous genome, or it is damaged
        old = read_genome(DEFAULT_GENOME)
        if old != record:
            note(f"the genome has {score_of(record)}, the previous one {score_of(old)}")
    publish(DEFAULT_GENOME.parent, {**_backup(content), DEFAULT_GENOME.name: content})
    print(terminal_safe(f"Active genome set from: {source}"))


@genome.command("import-log", cls=GroupedCommand, epilog="microgpt genome import-log evolve_1.log")
def import_log(
    log: Path = argument(
        ..., "Log file of evolve-rust's evolve_loss or of `microgpt evolve`.", "LOG"
    ),
) -> None:
    """Import the log of a loss evolution as a run.

    The run contains all candidates; its genome.json contains the best one.
    """
    from microgpt.data.text_file import TextFile
    from microgpt.files.atomic_files import as_argument
    from microgpt_cli.input_files import check_regular
    from microgpt_evolution.evolve_rust.log_import import parse_log, write_imported

    check_regular(log, "use another file")
    found = parse_log(TextFile(log), log)
    directory = write_imported(RUNS, found, log)
    candidates, winner = found.candidates, found.winner
    n_generations = len({candidate.generation for candidate in candidates})
    n_lost = sum(not candidate.has_finished for candidate in candidates)
    count = f"{len(candidates)}{f', {n_lost} without a loss' if n_lost else ''}"
    loss = winner.loss if winner.val_loss is None else winner.val_loss
    how = f"Loss: {loss:.4f}, generation {winner.generation}, {winner.fitness}"
    best = f"{winner.genome.describe()} | {how}"
    print(f"Imported: {directory}")
    print_facts({"generations": n_generations, "candidates": count, "best": best})
    if found.left_out:
        note(
            f"skipped candidates with values out of range: {len(found.left_out)}, such as "
            f"{found.left_out[0]}"
        )
    note(f"to use the best genome, run: microgpt genome use {as_argument(directory)}")


def _content(path: Path) -> tuple[Path, bytes]:
    """Return the path and content of a genome file; the argument may be a run directory."""
    from microgpt.files.atomic_files import as_argument
    from microgpt_evolution.errors import RunError
    from microgpt_evolution.genome_file import GENOME, read_content
    from microgpt_evolution.runs.run_directory import SWEEP, kind_at
    from microgpt_evolution.runs.run_files import RUN

    if path.is_dir():
        if not (path / GENOME).exists() and (path / RUN).exists():
            if kind_at(path) == SWEEP:
                raise RunError(
                    f"{path} is a sweep, which has no genome; use a run of microgpt evolve"
                )
            how = f"microgpt evolve --resume {as_argument(path)}"
            raise RunError(f"{path} has no winner yet; resume the search with: {how}")
        if (path / "meta.json").exists() and not (path / GENOME).exists():
            raise RunError(f"{path} is a model; show it with: microgpt info {as_argument(path)}")
        path = path / GENOME
    return path, read_content(path)


def _model_facts(record: "AnyRecord", input: Path | None) -> dict[str, object]:
    """Return the properties of a genome's model that can be computed without training."""
    from microgpt.data.documents import load_stream, load_text
    from microgpt.data.split import Split, fingerprint
    from microgpt.data.tokenizer import CharTokenizer
    from microgpt.model_config import count_params
    from microgpt.training.holding_out import hold_out
    from microgpt.training.options import TrainOptions
    from microgpt_cli.input_files import default_input
    from microgpt_evolution.budgeted.objective import BudgetedObjective
    from microgpt_evolution.genome_file import BudgetedRecord
    from microgpt_evolution.objectives.loss_objective import LossObjective

    path = input or default_input()
    is_stream = isinstance(record, BudgetedRecord) and record.text == "stream"
    docs = [load_stream(path)] if is_stream else load_text(path)
    if record.data_sha256 not in (None, fingerprint(docs)):
        note(f"the genome was found with data other than {path}; pass that data with --data")
    facts: dict[str, object] = {"species": record.genome.species}
    if isinstance(record, BudgetedRecord):
        options = TrainOptions(budget=record.operations)
        parts = hold_out(docs[0] if is_stream else docs, options, note)
        budgeted = BudgetedObjective(parts, record.text, record.operations)
        model, config = budgeted.settings(record.genome)
        facts |= {"vocab_size": model.vocab_size, "num_params": count_params(model)}
        return facts | {"batch_size": config.batch_size, "steps": config.steps}
    objective = LossObjective(Split(docs, docs), (), CharTokenizer.from_documents(docs), "last-doc")
    vocab_size = objective.tokenizer.vocab_size
    return facts | {
        "vocab_size": vocab_size,
        "num_params": record.genome.n_params(vocab_size),
        "training_flops": objective.flops(record.genome),
    }


def _backup(content: bytes) -> dict[str, bytes]:
    """Return a backup of genome.json as {name: content}; empty if no backup is needed."""
    from microgpt_evolution.errors import GenomeError
    from microgpt_evolution.genome_file import read_content

    if not os.path.exists(DEFAULT_GENOME):
        return {}
    old = read_content(DEFAULT_GENOME)
    if old == content:
        return {}
    for path in sorted(RUNS.glob(f"*/{DEFAULT_GENOME}")):
        with suppress(GenomeError):  # skip runs whose genome cannot be read
            if read_content(path) == old:
                note(f"the previous {DEFAULT_GENOME} is the winner of {path.parent}")
                return {}
    name = f"{DEFAULT_GENOME.stem}-{hashlib.sha256(old).hexdigest()[:N_HEX]}.json"
    note(f"the previous {DEFAULT_GENOME} is kept as {name}")
    return {name: old}
