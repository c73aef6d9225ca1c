"""`microgpt train`: from a text file to a model directory."""

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from microgpt.config import DType, EngineName, ModelConfig, TrainConfig, check_count
from microgpt.errors import ConfigError
from microgpt_cli.options import DEFAULT_CHAT, DEFAULT_MODEL_DIR, DEFAULT_TEXT
from microgpt_cli.progress import step_line
from microgpt_cli.streams import note

if TYPE_CHECKING:
    from microgpt.memorisation import Memorisation
    from microgpt.state import TrainResult

N_SAMPLES = 20
SHAPE = ("n_embd", "n_head", "n_layer", "block_size", "n_ff_exp")
DATA, MODEL, TRAINING, SAVING, OUTPUT = "Data", "Model", "Training", "Saving", "Output"


def train(
    ctx: typer.Context,
    input: Annotated[
        Path | None,
        typer.Option(
            help="UTF-8 text, a document a line; with --chat, JSONL, a conversation a line.  "
            f"[default: data/{DEFAULT_TEXT}, data/{DEFAULT_CHAT}]",
            rich_help_panel=DATA,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option(help="Directory for the model.", rich_help_panel=DATA)
    ] = DEFAULT_MODEL_DIR,
    chat: Annotated[
        bool, typer.Option("--chat", help="Learn to chat.", rich_help_panel=DATA)
    ] = False,
    val_fraction: Annotated[
        float,
        typer.Option(
            help="Share of the documents to hold out; the weights that predict them best are kept.",
            rich_help_panel=DATA,
        ),
    ] = 0.0,
    test_fraction: Annotated[
        float,
        typer.Option(
            help="Share to hold out to the very end, for an honest figure.", rich_help_panel=DATA
        ),
    ] = 0.0,
    steps: Annotated[
        int, typer.Option(help="Updates of the weights.", rich_help_panel=TRAINING)
    ] = TrainConfig.steps,
    lr: Annotated[
        float,
        typer.Option(help="Learning rate; falls linearly to 0.", rich_help_panel=TRAINING),
    ] = TrainConfig.lr,
    batch_size: Annotated[
        int, typer.Option(help="Documents a step.", rich_help_panel=TRAINING)
    ] = TrainConfig.batch_size,
    patience: Annotated[
        int | None,
        typer.Option(
            help="End when the held-out loss, which is measured 20 times, has been no better "
            "so often.",
            show_default=False,
            rich_help_panel=TRAINING,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(help="Same seed, same model, same samples.", rich_help_panel=TRAINING),
    ] = TrainConfig.seed,
    n_embd: Annotated[
        int, typer.Option(help="Width: numbers a token.", rich_help_panel=MODEL)
    ] = ModelConfig.n_embd,
    n_head: Annotated[
        int, typer.Option(help="Attention heads; they share n_embd.", rich_help_panel=MODEL)
    ] = ModelConfig.n_head,
    n_layer: Annotated[
        int, typer.Option(help="Depth: transformer blocks.", rich_help_panel=MODEL)
    ] = ModelConfig.n_layer,
    block_size: Annotated[
        int, typer.Option(help="Context: tokens the model can see.", rich_help_panel=MODEL)
    ] = ModelConfig.block_size,
    n_ff_exp: Annotated[
        int, typer.Option(help="MLP width, in multiples of n_embd.", rich_help_panel=MODEL)
    ] = ModelConfig.n_ff_exp,
    engine: Annotated[
        EngineName,
        typer.Option(
            help="compiled: fast. reference: plain Python, to be read.",
            rich_help_panel=TRAINING,
        ),
    ] = "compiled",
    dtype: Annotated[
        DType | None,
        typer.Option(
            help="Precision of the compiled engine.  [default: float32]", rich_help_panel=TRAINING
        ),
    ] = None,
    threads: Annotated[
        int,
        typer.Option(
            help="Processor cores that share a batch; the result is the same.",
            rich_help_panel=TRAINING,
        ),
    ] = 1,
    genome: Annotated[
        Path | None,
        typer.Option(
            help="Shape, steps and learning rate from a genome.json; options count more.",
            show_default=False,
            rich_help_panel=MODEL,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Go on with the training in this directory, perhaps with other --steps.",
            show_default=False,
            rich_help_panel=SAVING,
        ),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Begin with the weights of the model in this directory.",
            show_default=False,
            rich_help_panel=SAVING,
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Begin anew where a training has not ended.", rich_help_panel=SAVING
        ),
    ] = False,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            help="Steps after which to keep a state to go on from.  [default: every 5 seconds]",
            rich_help_panel=SAVING,
        ),
    ] = None,
    format: Annotated[
        Literal["json", "safetensors"] | None,
        typer.Option(
            help="Of the weights.  [default: json up to a million weights]", rich_help_panel=SAVING
        ),
    ] = None,
    num_samples: Annotated[
        int | None,
        typer.Option(
            help=f"Samples to print at the end; not with --chat.  [default: {N_SAMPLES}]",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    plot: Annotated[
        bool,
        typer.Option("--plot", help="Draw the losses into the directory.", rich_help_panel=OUTPUT),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Train a model and write it to a directory.

    Without options this is Karpathy's run: 32,033 names, 1,000 steps, 20 samples. A training that
    was interrupted goes on with --resume, and ends as if it never had been.
    """
    if num_samples:
        if num_samples < 0:
            raise ConfigError(f"num_samples must be >= 0, got {num_samples}")
        check_count("num_samples", num_samples)
    if checkpoint_every is not None:
        check_count("checkpoint_every", checkpoint_every)

    from microgpt.engines import check_engine
    from microgpt.memorisation import compare
    from microgpt_cli.genome_options import genome_options
    from microgpt_cli.training import Wishes, run
    from microgpt_cli.training_job import new_job, resumed_job

    given = {
        name: value
        for name, value in ctx.params.items()
        if (source := ctx.get_parameter_source(name)) and source.name != "DEFAULT"
    }
    wished = {**(genome_options(genome) if genome else {}), **given}
    settings = {**ctx.params, **wished}
    check_engine(engine, dtype, threads)
    job = (
        resumed_job(resume, given)
        if resume
        else new_job(
            input,
            chat=chat,
            val_fraction=val_fraction,
            test_fraction=test_fraction,
            shape={name: settings[name] for name in SHAPE if not from_ or name in wished},
            config=TrainConfig(
                steps=settings["steps"],
                batch_size=batch_size,
                lr=settings["lr"],
                seed=seed,
                patience=patience,
            ),
            engine=engine,
            dtype=dtype,
            from_=from_,
            genome=genome,
        )
    )
    if job is None:
        return
    chat = job.plan.tokenizer.is_chat
    n_samples = _count_samples(num_samples, chat=chat)
    wishes = Wishes(threads, checkpoint_every, format, has_samples=n_samples > 0, quiet=as_json)
    result = run(job, resume or output, wishes, force=force)
    if plot:
        _draw(resume or output)
    samples = _sample(result, n_samples, job.plan.engine)
    memorised = compare(samples, job.parts.train) if samples else None
    if as_json:
        print(json.dumps(_summary(result, samples, memorised, resume or output)))
        return
    _print_losses(result)
    if samples:
        print(f"\n--- inference (new, hallucinated {'documents' if input else 'names'}) ---")
    for i, sample in enumerate(samples, start=1):
        print(f"sample {i:2d}: {sample}")
    sys.stdout.flush()
    if memorised:
        _tell_what_is_known(memorised)
    _tell_what_next(resume or output, chat=chat)


def _count_samples(num_samples: int | None, *, chat: bool) -> int:
    if num_samples is None:
        return 0 if chat else N_SAMPLES
    if chat and num_samples:
        raise ConfigError("--num-samples does not go with --chat; use `microgpt chat` afterwards")
    return num_samples


def _draw(output: Path) -> None:
    """Draw the losses; that it does not work must not cost what has been trained."""
    from microgpt_cli.plot import DEFAULT_FILES, PlotError, write_curves

    try:
        write_curves([output], [output / file for file in DEFAULT_FILES])
    except PlotError as error:
        note(f"no picture: {error}")


def _sample(result: "TrainResult", num_samples: int, engine: EngineName) -> list[str]:
    from microgpt.inference import InferenceGpt

    if not num_samples:
        return []
    return InferenceGpt(result, engine=engine).generate(num_samples, rng=result.rng())


def _print_losses(result: "TrainResult") -> None:
    """Print the last step, and what was measured on documents that were held out."""
    from microgpt.evaluation import bits

    state, config = result.state, result.config
    print(step_line(state.step, config.steps, state.recent_losses[-1]))
    if state.best:
        loss = state.best.val_loss
        print(
            f"held-out loss {loss:.4f} nats a character ({bits(loss):.4f} bits), "
            f"the best, after step {state.best.step}"
        )
    if result.test_loss is not None:
        loss = result.test_loss
        print(f"test loss     {loss:.4f} nats a character ({bits(loss):.4f} bits)")


def _tell_what_is_known(memorised: "Memorisation") -> None:
    """Say how many samples are in the training data, and what comes nearest to the others."""
    line = f"{memorised.n_known} of {memorised.n_samples} samples are in the training data"
    if memorised.novel:
        pairs = (f"{sample.text} ({sample.document})" for sample in memorised.novel)
        line += f"; the others, and what comes nearest to them there: {', '.join(pairs)}"
    note(line)


def _tell_what_next(output: Path, *, chat: bool) -> None:
    where = "" if output == DEFAULT_MODEL_DIR else f" --model-dir {shlex.quote(str(output))}"
    note(f"the model is in {output}; try: microgpt {'chat' if chat else 'generate'}{where}")


def _summary(
    result: "TrainResult", samples: list[str], memorised: "Memorisation | None", output: Path
) -> dict[str, object]:
    from microgpt.model import count_params

    best = result.state.best
    facts = {
        "num_docs": result.data.n_docs,
        "vocab_size": result.model.vocab_size,
        "num_params": count_params(result.model),
        "steps": result.state.step,
        "loss": result.state.recent_losses[-1],
        "val_loss": result.val_loss,
        "best_step": best.step if best else None,
        "test_loss": result.test_loss,
        "seconds": round(result.seconds, 3),
        "samples": samples,
        "memorised": asdict(memorised) if memorised else None,
        "output": str(output),
    }
    return {name: fact for name, fact in facts.items() if fact is not None}
