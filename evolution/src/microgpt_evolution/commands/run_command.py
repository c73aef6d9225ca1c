"""`microgpt run`: train a model from a genome and print generated names."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt import DEFAULT_SEED, OnEvent, as_argument, check_seed, count_params, mark, setting
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import note, terminal_safe
from microgpt_cli.terminal.help import examples
from microgpt_evolution.commands.study_options import DEFAULT_GENOME
from microgpt_evolution.evolution_errors import GenomeError

if TYPE_CHECKING:
    from microgpt import TrainResult
    from microgpt_evolution.genome import Genome

N_SAMPLES = 10
UNFORMED = """\
=== MicroGPT [Primordial] ===
"I am unformed"
No genome found. Running with default parameters.
Run `microgpt evolve` to evolve a genome.
"""
EVOLVED = """\
=== MicroGPT [Evolved] ===
"I have become"
Loaded genome from generation {0.generation} (loss: {0.loss:.4f})
"""
STARTED = (
    "training for {0.steps} steps (lr={0.lr:g}, emb={1.n_embd}, head={1.n_head}, "
    "layer={1.n_layer}, ctx={1.block_size}, ff={1.n_ff_exp})"
)
option = partial(setting, panel="Options", short=True)
gene = partial(setting, panel="Genes (override the genome)", short=True)


@dataclass(frozen=True)
class RunOptions:
    """The options of `microgpt run`."""

    genome: Path | None = option(None, f"Genome file.  [default: {DEFAULT_GENOME}, if it exists]")
    input: Path | None = option(
        None, f"{opt.TEXT_HELP}.  [default: data/{opt.DEFAULT_TEXT}]", *opt.DATA, "-d"
    )
    column: str | None = option(
        None, "Read this column of a CSV or TSV file, or this field of JSON objects."
    )
    seed: int = option(DEFAULT_SEED, opt.SEED_HELP)
    silent: bool = option(False, "Do not print progress or generated names.")
    n_embd: int | None = gene(None, "Embedding width.", "--emb", "-e")
    block_size: int | None = gene(None, "Context length in tokens.", "--ctx", "-c")
    n_layer: int | None = gene(None, "Number of transformer blocks.", "--layer", "-y")
    n_head: int | None = gene(None, "Number of attention heads; must divide --emb.", "--head")
    n_ff_exp: int | None = gene(None, "MLP width, in multiples of --emb.", "--ff", "-f")
    steps: int | None = gene(None, "Number of training steps.", "--steps", "-s")
    lr: float | None = gene(None, "Learning rate; decays linearly to 0.", *opt.LR, "-l")


@examples("microgpt run --steps 1000")
@opt.with_options(RunOptions)
def run(options: RunOptions) -> None:
    """Train a model from a genome and print ten names.

    The genome is read from genome.json if it exists; otherwise, the default genome is used.
    """
    check_seed(options.seed)

    from microgpt import fingerprint, load_text
    from microgpt_cli.training.inputs import default_input
    from microgpt_evolution.genome import GENES, PRIMORDIAL, check_genes
    from microgpt_evolution.genome_file import read_genome

    path, record = options.genome or DEFAULT_GENOME, None
    if options.genome or os.path.lexists(path):
        record = read_genome(path)
        if record.is_budgeted:
            how = f"train it with: microgpt train --genome {as_argument(path)}"
            raise GenomeError(f"{path} is from a search with a budget; {how}")
    given = {gene: value for gene in GENES if (value := getattr(options, gene)) is not None}
    check_genes(given)
    data = options.input or default_input()
    docs = load_text(data, column=options.column, tell=note)
    genome = replace(record.genome if record else PRIMORDIAL, **given)

    print(EVOLVED.format(record) if record else UNFORMED)
    if record and record.data_sha256 not in (None, fingerprint(docs)):
        note(f"the genome was found with data other than {data}")
    result = _train(genome, docs, options)
    what, n_params = "evolved" if record else "default", count_params(result.model)
    print(f"\nOrganism: {what} | Loss: {result.losses[-1]:.4f} | Params: {n_params}")
    if record and record.val_loss is not None and not given:
        note(
            "these losses are for the last training document; the held-out loss of the genome "
            f"is {record.val_loss:.4f}{mark(record.contamination or 0.0)}"
        )


def _train(genome: "Genome", docs: Sequence[str], options: RunOptions) -> "TrainResult":
    """Train a model with a genome, and print generated names unless `options.silent` is set."""
    from microgpt import CharTokenizer, InferenceGpt, prepare_engine, train
    from microgpt_cli.terminal.progress_bar import TrainingProgress

    tokenizer, config = CharTokenizer.from_documents(docs), genome.train_config(options.seed)
    model = genome.model(tokenizer.vocab_size)
    if not options.silent:
        shape = STARTED.format(config, model)
        print(f"MicroGPT: {count_params(model)} params, {shape}", flush=True)
    prepare_engine(None, uses=["training", "generation"])
    with TrainingProgress() as progress:
        hooks = [OnEvent(progress.update)]
        result = train(docs, model=model, config=config, tokenizer=tokenizer, hooks=hooks)
    if not options.silent:
        print(f"step {config.steps:4d} | loss {result.losses[-1]:.4f}\n\n--- Generation ---")
        for name in InferenceGpt(result).generate(N_SAMPLES, temperature=1.0, seed=options.seed):
            print(f"> {terminal_safe(name)}")
    return result
