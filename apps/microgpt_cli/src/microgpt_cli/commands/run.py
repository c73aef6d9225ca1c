"""`microgpt run`: the creature, as a search has evolved it or as it was in the beginning."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from microgpt.config import DEFAULT_SEED, check_seed
from microgpt_cli.terminal.console import note, shown
from microgpt_cli.terminal.options import DEFAULT_GENOME, DEFAULT_TEXT

if TYPE_CHECKING:
    from microgpt.data.tokenizer import CharTokenizer
    from microgpt.state import TrainResult
    from microgpt_evolution.genome import Genome
    from microgpt_evolution.genome_file import GenomeRecord

N_SAMPLES = 10
TEMPERATURE = 1.0
CREATURE, GENES_PANEL = "Creature", "Genes, instead of the genome's"


def run(
    ctx: typer.Context,
    genome: Annotated[
        Path | None,
        typer.Option(
            help=f"What it has become.  [default: {DEFAULT_GENOME}, if it is there]",
            rich_help_panel=CREATURE,
        ),
    ] = None,
    input: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-d",
            "--data",
            help=f"UTF-8 text, a document a line.  [default: data/{DEFAULT_TEXT}]",
            rich_help_panel=CREATURE,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Same seed, same creature.", rich_help_panel=CREATURE)
    ] = DEFAULT_SEED,
    silent: Annotated[
        bool,
        typer.Option(
            "--silent",
            help="Print neither its training nor what it says.",
            rich_help_panel=CREATURE,
        ),
    ] = False,
    n_emb: Annotated[
        int | None, typer.Option("--emb", "-e", help="Width.", rich_help_panel=GENES_PANEL)
    ] = None,
    n_ctx: Annotated[
        int | None, typer.Option("--ctx", "-c", help="Context.", rich_help_panel=GENES_PANEL)
    ] = None,
    n_layer: Annotated[
        int | None, typer.Option("--layer", "-y", help="Layers.", rich_help_panel=GENES_PANEL)
    ] = None,
    n_head: Annotated[
        int | None, typer.Option("--head", help="Attention heads.", rich_help_panel=GENES_PANEL)
    ] = None,
    n_ff_exp: Annotated[
        int | None,
        typer.Option(
            "--ff", "-f", help="MLP width, in multiples of --emb.", rich_help_panel=GENES_PANEL
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", "-s", help="Documents read.", rich_help_panel=GENES_PANEL),
    ] = None,
    lr: Annotated[
        float | None, typer.Option("--lr", "-l", help="Learning rate.", rich_help_panel=GENES_PANEL)
    ] = None,
) -> None:
    """Train a creature on names, and let it make up ten.

    It is what genome.json says, evolved; without one it is as it was in the beginning, primordial.
    """
    check_seed(seed)

    from microgpt.data.dataset import load_text
    from microgpt.data.tokenizer import CharTokenizer
    from microgpt_cli.training.data import default_input
    from microgpt_evolution.genome import GENES, PRIMORDIAL
    from microgpt_evolution.genome_file import read_genome

    if not genome and os.path.lexists(DEFAULT_GENOME):
        genome = DEFAULT_GENOME
    record = read_genome(genome) if genome else None
    given = {gene: ctx.params[gene] for gene in GENES if ctx.params[gene] is not None}
    organism = replace(record.genome if record else PRIMORDIAL, **given)
    docs = load_text(input or default_input())
    tokenizer = CharTokenizer.from_documents(docs)
    n_params = organism.n_params(tokenizer.vocab_size)

    _introduce(record)
    if not silent:
        _tell_genes(organism, n_params)
    result = _train(organism, docs, tokenizer, seed)
    loss = result.state.recent_losses[-1]
    if not silent:
        print(f"step {organism.steps:4d} | loss {loss:.4f}\n\n--- Generation ---")
        for name in _names(result, seed):
            print(f"> {shown(name)}")
    what = "evolved" if record else "default"
    print(f"\nOrganism: {what} | Loss: {loss:.4f} | Params: {n_params}")


def _introduce(record: "GenomeRecord | None") -> None:
    if record:
        print('=== MicroGPT [Evolved] ===\n"I have become"')
        print(f"Loaded genome from generation {record.generation} (loss: {record.loss:.4f})\n")
    else:
        print('=== MicroGPT [Primordial] ===\n"I am unformed"')
        print("No genome found. Running with default parameters.")
        print("Run `microgpt evolve` to evolve.\n")


def _tell_genes(organism: "Genome", n_params: int) -> None:
    print(
        f"MicroGPT: {n_params} params, training for {organism.steps} steps (lr={organism.lr:g}, "
        f"emb={organism.n_emb}, head={organism.n_head}, layer={organism.n_layer}, "
        f"ctx={organism.n_ctx}, ff={organism.n_ff_exp})",
        flush=True,
    )


def _train(
    organism: "Genome", docs: list[str], tokenizer: "CharTokenizer", seed: int
) -> "TrainResult":
    from microgpt.train import train
    from microgpt.training.engines import prepare_engine
    from microgpt_cli.terminal.progress import TrainingProgress

    prepare_engine("compiled", uses=["training", "generation"], tell=note)
    with TrainingProgress(organism.steps) as progress:
        return train(
            docs,
            model=organism.model(),
            config=organism.train_config(seed),
            tokenizer=tokenizer,
            on_event=progress.update,
        )


def _names(result: "TrainResult", seed: int) -> list[str]:
    from microgpt.inference import InferenceGpt

    return InferenceGpt(result).generate(N_SAMPLES, temperature=TEMPERATURE, seed=seed)
