"""`microgpt run`: train a model from a genome and print generated names."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from microgpt import DEFAULT_SEED, OnEvent, as_argument, check_seed
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import note, terminal_safe
from microgpt_cli.terminal.help import examples
from microgpt_evolution.commands.runs import DEFAULT_GENOME

if TYPE_CHECKING:
    from microgpt_evolution.genome_file import GenomeRecord

N_SAMPLES = 10
TEMPERATURE = 1.0
gene = partial(opt.option, rich_help_panel="Genes (override the genome)")


@examples("microgpt run --genome genome.json --steps 1000")
def run(
    ctx: typer.Context,
    genome: Path | None = opt.option(
        None, f"Genome file.  [default: {DEFAULT_GENOME}, if it exists]"
    ),
    input: Path | None = opt.option(
        None, f"{opt.TEXT_HELP}.  [default: data/{opt.DEFAULT_TEXT}]", *opt.DATA, "-d"
    ),
    column: str | None = opt.COLUMN,
    seed: int = opt.option(DEFAULT_SEED, opt.SEED_HELP),
    silent: bool = opt.flag("--silent", "Do not print progress or generated names."),
    n_embd: int | None = gene(None, "Embedding width.", "--emb", "-e"),
    block_size: int | None = gene(None, "Context length in tokens.", "--ctx", "-c"),
    n_layer: int | None = gene(None, "Number of transformer blocks.", "--layer", "-y"),
    n_head: int | None = gene(None, "Number of attention heads; must divide --emb.", "--head"),
    n_ff_exp: int | None = gene(None, "MLP width, in multiples of --emb.", "--ff", "-f"),
    steps: int | None = gene(None, "Number of training steps.", "--steps", "-s"),
    lr: float | None = gene(None, "Learning rate; decays linearly to 0.", *opt.LR, "-l"),
) -> None:
    """Train a model from a genome and print ten names.

    The genome is read from genome.json if it exists; otherwise, the default genome is used.
    """
    check_seed(seed)

    from microgpt import CharTokenizer, InferenceGpt, count_params, fingerprint, load_text, train
    from microgpt_cli.model_loading import default_input
    from microgpt_cli.terminal.progress import TrainingProgress, load_kernels
    from microgpt_evolution.genome import GENES, LIMITS, PRIMORDIAL, check_genes
    from microgpt_evolution.genome_file import read_genome_of

    if not genome and os.path.lexists(DEFAULT_GENOME):
        genome = DEFAULT_GENOME
    record = None
    if genome:
        remedy = f"train it with: microgpt train --genome {as_argument(genome)}"
        record = read_genome_of(genome, remedy, is_budgeted=False)
    given = {gene: ctx.params[gene] for gene in GENES if ctx.params[gene] is not None}
    check_genes(given, LIMITS)
    path = input or default_input()
    docs = load_text(path, column=column, tell=note)
    organism = replace(record.genome if record else PRIMORDIAL, **given)
    tokenizer = CharTokenizer.from_documents(docs)
    model = replace(organism.model(), vocab_size=tokenizer.vocab_size)
    config = organism.train_config(seed)
    n_params = count_params(model)

    _print_introduction(record)
    if record and record.data_sha256 not in (None, fingerprint(docs)):
        note(f"the genome was found with data other than {path}")
    if silent and given:
        note(f"overridden: {', '.join(f'{name} {value:g}' for name, value in given.items())}")
    if not silent:
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
    if not silent:
        print(f"step {config.steps:4d} | loss {loss:.4f}\n\n--- Generation ---")
        for name in InferenceGpt(result).generate(N_SAMPLES, temperature=TEMPERATURE, seed=seed):
            print(f"> {terminal_safe(name)}")
    what = "evolved" if record else "default"
    print(f"\nOrganism: {what} | Loss: {loss:.4f} | Params: {n_params}")
    if record and record.val_loss is not None and not given:
        note(
            "these losses are for the last training document; the held-out loss of the genome "
            f"is {record.val_loss:.4f}"
        )


def _print_introduction(record: "GenomeRecord | None") -> None:
    if record:
        print('=== MicroGPT [Evolved] ===\n"I have become"')
        print(f"Loaded genome from generation {record.generation} (loss: {record.loss:.4f})\n")
    else:
        print('=== MicroGPT [Primordial] ===\n"I am unformed"')
        print("No genome found. Running with default parameters.")
        print("Run `microgpt evolve` to evolve a genome.\n")
