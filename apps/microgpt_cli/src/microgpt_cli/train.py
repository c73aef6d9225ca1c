"""`microgpt train`: from a text file to a model directory."""

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import typer

from microgpt.config import ModelConfig, TrainConfig, check_count
from microgpt.errors import ConfigError
from microgpt_cli import train_options as opt
from microgpt_cli.options import DEFAULT_MODEL_DIR
from microgpt_cli.streams import note

if TYPE_CHECKING:
    from microgpt.training_directory import TrainingDirectory
    from microgpt_cli.training_job import Ended, Job

SHAPE = ("n_embd", "n_head", "n_layer", "block_size", "n_ff_exp")
COURSE = (
    "steps", "batch_size", "lr", "warmup_steps", "dropout", "weight_decay", "average_tail", "beta1",
    "beta2", "seed", "loss_on", "long_docs", "text", "patience",
)  # fmt: skip


def train(
    ctx: typer.Context,
<<<<<<< HEAD
    input: opt.Input = None,
    output: opt.Output = DEFAULT_MODEL_DIR,
    chat: opt.Chat = False,
    text: opt.Text = TrainConfig.text,
    long_docs: opt.LongDocs = TrainConfig.long_docs,
    val_fraction: opt.ValFraction = 0.0,
    test_fraction: opt.TestFraction = 0.0,
    tokenizer: opt.Tokenizer = "char",
    vocab_size: opt.VocabSize = None,
    steps: opt.Steps = TrainConfig.steps,
    lr: opt.LearningRate = TrainConfig.lr,
    batch_size: opt.BatchSize = TrainConfig.batch_size,
    warmup_steps: opt.WarmupSteps = TrainConfig.warmup_steps,
    dropout: opt.Dropout = TrainConfig.dropout,
    weight_decay: opt.WeightDecay = TrainConfig.weight_decay,
    average_tail: opt.AverageTail = TrainConfig.average_tail,
    beta1: opt.Beta1 = TrainConfig.beta1,
    beta2: opt.Beta2 = TrainConfig.beta2,
    loss_on: opt.LossOn = TrainConfig.loss_on,
    patience: opt.Patience = None,
    seed: opt.Seed = TrainConfig.seed,
    n_embd: opt.NEmbd = ModelConfig.n_embd,
    n_head: opt.NHead = ModelConfig.n_head,
    n_layer: opt.NLayer = ModelConfig.n_layer,
    block_size: opt.BlockSize = ModelConfig.block_size,
    n_ff_exp: opt.NFfExp = ModelConfig.n_ff_exp,
    engine: opt.Engine = "compiled",
    dtype: opt.Dtype = None,
    threads: opt.Threads = 1,
    preset: opt.Preset = None,
    genome: opt.Genome = None,
    resume: opt.Resume = None,
    from_: opt.From = None,
    force: opt.Force = False,
    checkpoint_every: opt.CheckpointEvery = None,
    format: opt.Format = None,
    num_samples: opt.NumSamples = None,
    plot: opt.Plot = False,
    as_json: opt.AsJson = False,
=======
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
    tokenizer: Annotated[
        TokenizerKind,
        typer.Option(help="char: characters. bpe: pieces that come often.", rich_help_panel=DATA),
    ] = "char",
    vocab_size: Annotated[
        int, typer.Option(help="With bpe: tokens, special ones included.", rich_help_panel=DATA)
    ] = DEFAULT_VOCAB_SIZE,
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
    loss_on: Annotated[
        LossOn,
        typer.Option(
            help="With --chat: learn the assistant's turns alone, or the user's as well.",
            rich_help_panel=TRAINING,
        ),
    ] = TrainConfig.loss_on,
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
    preset: Annotated[
        PresetName | None,
        typer.Option(
            help="All settings and, unless --input names others, the data of a training that is "
            "known to be good; options count more.  chat: a small assistant, in five minutes.",
            show_default=False,
            rich_help_panel=MODEL,
        ),
    ] = None,
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
>>>>>>> deb9a41c616c6f08259ee016d260f09146a1ed4c
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
    from microgpt.training_directory import TrainingDirectory, check_has_training
    from microgpt_cli.ready_options import genome_options, preset_options
    from microgpt_cli.training_job import new_job
    from microgpt_cli.training_report import count_samples

    given = {
        name: value
        for name, value in ctx.params.items()
        if (source := ctx.get_parameter_source(name)) and source.name != "DEFAULT"
    }
    if preset and genome:
        raise ConfigError("--preset and --genome both say how to train; leave one of them out")
    ready = genome_options(genome) if genome else preset_options(preset) if preset else {}
    wished = {**ready, **given}
    settings = {**ctx.params, **wished}
    check_engine(engine, dtype, threads)
    if "vocab_size" in given and tokenizer != "bpe" and not resume:
        raise ConfigError("--vocab-size goes with --tokenizer bpe; add it, or leave both out")
    if "loss_on" in given and not (settings["chat"] or resume):
        raise ConfigError("--loss-on goes with --chat; add it, or leave both out")
    if settings["text"] == "stream":
        _check_stream(settings, given)
    job = None
    if resume:
        check_has_training(resume)
    else:
        count_samples(num_samples, chat=settings["chat"])
        job = new_job(
            input,
            chat=settings["chat"],
            tokenizer=given.get("tokenizer"),
<<<<<<< HEAD
            vocab_size=vocab_size,
            val_fraction=settings["val_fraction"],
            test_fraction=settings["test_fraction"],
=======
            vocab_size=given.get("vocab_size"),
            val_fraction=val_fraction,
            test_fraction=test_fraction,
>>>>>>> deb9a41c616c6f08259ee016d260f09146a1ed4c
            shape={name: settings[name] for name in SHAPE if not from_ or name in wished},
            config=TrainConfig(**{name: settings[name] for name in COURSE}),
            engine=engine,
            dtype=dtype,
            weights_format=format,
            preset=preset,
            from_=from_,
            genome=genome,
        )
    with TrainingDirectory(resume or output) as directory:
        _train(directory, job, given, ctx.params)


def _check_stream(settings: Mapping[str, Any], given: Collection[str]) -> None:
    """Raise ConfigError if there are options that running text has no use for."""
    if settings["chat"]:
        raise ConfigError("--text stream does not go with --chat: conversations come in lines")
    if "long_docs" in given:
        raise ConfigError("--long-docs does not go with --text stream, which has no documents")


def _train(
    directory: "TrainingDirectory",
    job: "Job | Ended | None",
    given: Mapping[str, Any],
    options: Mapping[str, Any],
) -> None:
    """Begin a training, or go on with the one that is there, and tell what came of it.

    Args:
        directory: where it is done.
        job: what is to begin; None to go on.
        given: the options that were given, by name.
        options: all of them.
    """
    from microgpt_cli.training import Wishes, refuse_unfinished, run
    from microgpt_cli.training_job import Ended, resumed_job
    from microgpt_cli.training_report import count_samples, draw, report, sample

    path, as_json = directory.path, options["as_json"]
    if job is None:
        job = resumed_job(directory, given)
    elif not options["force"]:
        refuse_unfinished(directory)
    if isinstance(job, Ended):
        note(job.what_to_do(path))
        if options["plot"]:
            draw(path)
        if as_json:
            print(json.dumps({"steps": job.step, "ended": job.reason, "output": str(path)}))
        return
    n_samples = count_samples(options["num_samples"], chat=job.plan.tokenizer.is_chat)
    result = run(
        job,
        directory,
        Wishes(
            threads=options["threads"],
            checkpoint_every=options["checkpoint_every"],
            has_samples=n_samples > 0,
            quiet=as_json,
        ),
    )
    if options["plot"]:
        draw(path)
    samples = sample(result, n_samples, job.plan.engine)
    is_stream = result.config.text == "stream"
    what = "text" if is_stream else "documents" if options["input"] else "names"
    report(result, samples, job.parts, path, as_json=as_json, what=what)
