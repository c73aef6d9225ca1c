"""`microgpt run`: train a model from a genome and print generated names."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt import DEFAULT_SEED, OnEvent, as_argument, check_seed, mark, setting
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import note, terminal_safe
from microgpt_cli.terminal.help import examples
from microgpt_evolution.commands.runs import DEFAULT_GENOME

if TYPE_CHECKING:
    from microgpt_evolution.genome import Genome
    from microgpt_evolution.genome_file import GenomeRecord

N_SAMPLES = 10
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


@examples("microgpt run --genome genome.json --steps 1000")
@opt.with_options(RunOptions)
def run(options: RunOptions) -> None:
    """Train a model from a genome and print ten names.

    The genome is read from genome.json if it exists; otherwise, the default genome is used.
    """
    check_seed(options.seed)

    from microgpt import fingerprint, load_text
    from microgpt_cli.training.inputs import default_input
    from microgpt_evolution.genome import GENES, PRIMORDIAL, check_genes
    from microgpt_evolution.genome_file import read_genome_of

    genome, record = options.genome, None
    if genome or os.path.lexists(DEFAULT_GENOME):
        genome = genome or DEFAULT_GENOME
        remedy = f"train it with: microgpt train --genome {as_argument(genome)}"
        record = read_genome_of(genome, remedy, is_budgeted=False)
    genes = {gene: getattr(options, gene) for gene in GENES}
    given = {gene: value for gene, value in genes.items() if value is not None}
    check_genes(given)
    path = options.input or default_input()
    docs = load_text(path, column=options.column, tell=note)
    organism = replace(record.genome if record else PRIMORDIAL, **given)

    _print_introduction(record)
    if record and record.data_sha256 not in (None, fingerprint(docs)):
        note(f"the genome was found with data other than {path}")
    if options.silent and given:
        note(f"overridden: {', '.join(f'{name} {value:g}' for name, value in given.items())}")
    loss, n_params = _train(organism, docs, options)
    what = "evolved" if record else "default"
    print(f"\nOrganism: {what} | Loss: {loss:.4f} | Params: {n_params}")
    if record and record.val_loss is not None and not given:
        note(
            "these losses are for the last training document; the held-out loss of the genome "
            f"is {record.val_loss:.4f}{mark(record.contamination or 0.0)}"
        )


def _train(organism: "Genome", docs: Sequence[str], options: RunOptions) -> tuple[float, int]:
    """Train a model and print names; return its last loss and its number of parameters."""
    from microgpt import CharTokenizer, InferenceGpt, count_params, train
    from microgpt_cli.terminal.progress import TrainingProgress, load_kernels

    tokenizer = CharTokenizer.from_documents(docs)
    model, config = organism.model(tokenizer.vocab_size), organism.train_config(options.seed)
    n_params = count_params(model)
    if not options.silent:
        print(
            f"MicroGPT: {n_params} params, training for {config.steps} steps "
            f"(lr={config.lr:g}, emb={model.n_embd}, head={model.n_head}, "
            f"layer={model.n_layer}, ctx={model.block_size}, ff={model.n_ff_exp})",
            flush=True,
        )
    load_kernels(None, uses=["training", "generation"])
    with TrainingProgress() as progress:
        result = train(
            docs, model=model, config=config, tokenizer=tokenizer, hooks=[OnEvent(progress.update)]
        )
    loss = result.state.recent_losses[-1]
    if not options.silent:
        print(f"step {config.steps:4d} | loss {loss:.4f}\n\n--- Generation ---")
        for name in InferenceGpt(result).generate(N_SAMPLES, temperature=1.0, seed=options.seed):
            print(f"> {terminal_safe(name)}")
    return loss, n_params


def _print_introduction(record: "GenomeRecord | None") -> None:
    if record:
        print('=== MicroGPT [Evolved] ===\n"I have become"')
        print(f"Loaded genome from generation {record.generation} (loss: {record.loss:.4f})\n")
    else:
        print('=== MicroGPT [Primordial] ===\n"I am unformed"')
        print("No genome found. Running with default parameters.")
        print("Run `microgpt evolve` to evolve a genome.\n")
