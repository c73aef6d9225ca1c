"""`microgpt train`: from a text file to a model directory."""

import json
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from microgpt.config import DType, EngineName, ModelConfig, TrainConfig, check_count
from microgpt_cli.options import DEFAULT_CHAT, DEFAULT_MODEL_DIR, DEFAULT_TEXT
from microgpt_cli.progress import TrainingProgress, step_line
from microgpt_cli.streams import note, say, show_while_read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microgpt.state import TrainResult
    from microgpt.tokenizer import CharTokenizer, Document
    from microgpt.train import DivergedError

N_SAMPLES = 20
DATA, MODEL, TRAINING, OUTPUT = "Data", "Model", "Training", "Output"


def train(
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
    num_samples: Annotated[
        int | None,
        typer.Option(
            help=f"Samples to print at the end; not with --chat.  [default: {N_SAMPLES}]",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Train a model and write it to a directory.

    Without options this is Karpathy's run: 32,033 names, 1,000 steps, 20 samples.
    """
    model = ModelConfig(
        n_embd=n_embd, n_head=n_head, n_layer=n_layer, block_size=block_size, n_ff_exp=n_ff_exp
    )
    config = TrainConfig(steps=steps, batch_size=batch_size, lr=lr, seed=seed)
    n_samples = _check_num_samples(num_samples, chat)

    from microgpt.checkpoint import check_writable
    from microgpt.engines import check_engine

    check_engine(engine, dtype, threads)
    docs = _load(input, chat)
    check_writable(output)
    result = _train(
        docs,
        model,
        config,
        engine,
        dtype,
        threads=threads,
        output=output,
        has_samples=n_samples > 0,
        quiet=as_json,
    )
    _save(result, output)  # before anything is printed: a closed pipe must not cost the model

    samples = _sample(result, n_samples, engine)
    if as_json:
        print(json.dumps(_summary(result, samples, output)))
        return
    print(step_line(config.steps, config.steps, result.losses[-1]))
    if samples:
        print(f"\n--- inference (new, hallucinated {'documents' if input else 'names'}) ---")
    for i, sample in enumerate(samples, start=1):
        print(f"sample {i:2d}: {sample}")
    sys.stdout.flush()
    where = "" if output == DEFAULT_MODEL_DIR else f" --model-dir {shlex.quote(str(output))}"
    note(f"the model is in {output}; try: microgpt {'chat' if chat else 'generate'}{where}")


def _check_num_samples(num_samples: int | None, chat: bool) -> int:
    from microgpt.errors import ConfigError

    if num_samples is None:
        return 0 if chat else N_SAMPLES
    if num_samples < 0:
        raise ConfigError(f"num_samples must be >= 0, got {num_samples}")
    if num_samples:
        check_count("num_samples", num_samples)
    if chat and num_samples:
        raise ConfigError("--num-samples does not go with --chat; use `microgpt chat` afterwards")
    return num_samples


def _load(path: Path | None, chat: bool) -> "Sequence[Document]":
    from microgpt.data import bundled, load_conversations, load_text

    if path is None:
        name = DEFAULT_CHAT if chat else DEFAULT_TEXT
        path = Path("data", name)
        if not os.path.exists(path):
            note(f"there is no {path} here; using the {name} that comes with microgpt")
            path = bundled(name)
    return load_conversations(path) if chat else load_text(path)


def _train(
    docs: "Sequence[Document]",
    model: ModelConfig,
    config: TrainConfig,
    engine: EngineName,
    dtype: DType | None,
    *,
    threads: int,
    output: Path,
    has_samples: bool,
    quiet: bool,
) -> "TrainResult":
    """Train with the header on stdout and the progress on stderr."""
    from microgpt.engines import DEFAULT_DTYPE, Use, check_fits, prepare_engine
    from microgpt.model import count_params
    from microgpt.tokenizer import CharTokenizer
    from microgpt.train import DivergedError
    from microgpt.train import train as train_model

    tokenizer = CharTokenizer.from_documents(docs)
    model = replace(model, vocab_size=tokenizer.vocab_size)
    dtype = dtype or DEFAULT_DTYPE[engine]
    longest = min(model.block_size, max(map(tokenizer.count_tokens, docs)) - 1)
    check_fits(engine, dtype, model, config, longest=longest, threads=threads)
    uses: list[Use] = ["training", "decoding"] if has_samples else ["training"]
    prepare_engine(engine, dtype, uses=uses, tell=note)
    with TrainingProgress(config.steps) as progress:
        try:
            if not quiet:
                show_while_read(
                    f"num {'convos' if tokenizer.is_chat else 'docs'}: {len(docs)}\n"
                    f"vocab size: {model.vocab_size}\n"
                    f"num params: {count_params(model)}"
                )
            _note_what_is_cut(docs, tokenizer, model.block_size)
            return train_model(
                docs,
                model=model,
                config=config,
                tokenizer=tokenizer,
                engine=engine,
                dtype=dtype,
                threads=threads,
                on_event=progress.update,
            )
        except DivergedError as error:
            progress.stop()
            _keep_last_good(error, output)
        except KeyboardInterrupt as stop:
            where = f"at step {progress.step} of {config.steps}"
            raise type(stop)(f"{where}; {output} is as it was before") from None


def _note_what_is_cut(
    docs: "Sequence[Document]", tokenizer: "CharTokenizer", block_size: int
) -> None:
    n_cut = sum(tokenizer.count_tokens(doc) > block_size + 1 for doc in docs)
    if n_cut:
        note(
            f"{n_cut} of {len(docs)} documents do not fit into the block size of {block_size}; "
            "what lies beyond it is not learnt"
        )


def _keep_last_good(error: "DivergedError", output: Path) -> NoReturn:
    """Save what there is beside the output, where a good model of an earlier run may be."""
    from microgpt.checkpoint import save
    from microgpt.errors import CheckpointError

    kept = Path(f"{os.path.realpath(output)}.diverged")
    try:
        save(error.result, kept)
        say(f"error: {error} (the last good weights are in {kept})")
    except CheckpointError as problem:
        say(f"error: {error} (the last good weights are lost: {problem})")
    raise typer.Exit(1)


def _save(result: "TrainResult", output: Path) -> None:
    from microgpt.checkpoint import save
    from microgpt.errors import CheckpointError

    try:
        save(result, output)
    except CheckpointError as error:  # it could be written when the training began: not bad input
        say(f"error: {error}")
        raise typer.Exit(1) from error


def _sample(result: "TrainResult", num_samples: int, engine: EngineName) -> list[str]:
    from microgpt.inference import InferenceGpt

    if not num_samples:
        return []
    return InferenceGpt(result, engine=engine).generate(num_samples, rng=result.rng())


def _summary(result: "TrainResult", samples: list[str], output: Path) -> dict[str, object]:
    from microgpt.model import count_params

    return {
        "num_docs": result.n_docs,
        "vocab_size": result.model.vocab_size,
        "num_params": count_params(result.model),
        "steps": result.config.steps,
        "loss": result.losses[-1],
        "seconds": round(result.seconds, 3),
        "samples": samples,
        "output": str(output),
    }
