"""`microgpt train`: train a model on a text file."""

from collections.abc import Mapping
from time import perf_counter
from typing import Any

import typer

from microgpt.config import ModelConfig, TrainConfig, check_count
from microgpt.data.bpe import DEFAULT_VOCAB_SIZE
from microgpt.errors import ConfigError
from microgpt_cli.terminal import options as common
from microgpt_cli.terminal.options import DEFAULT_MODEL_DIR, flag_of, given_options
from microgpt_cli.training import options as opt
from microgpt_cli.training.limits import check_limits, n_bytes


def train(
    ctx: typer.Context,
    input: common.Input = None,
    output: opt.Output = DEFAULT_MODEL_DIR,
    minutes: opt.Minutes = None,
    budget: opt.Budget = None,
    chat: common.Chat = False,
    text: opt.Text = TrainConfig.text,
    column: common.Column = None,
    long_docs: opt.LongDocs = TrainConfig.long_docs,
    val_fraction: opt.ValFraction = 0.0,
    test_fraction: opt.TestFraction = 0.0,
    holdout: opt.Holdout = None,
    tokenizer: opt.Tokenizer = "char",
    vocab_size: opt.VocabSize = DEFAULT_VOCAB_SIZE,
    steps: opt.Steps = TrainConfig.steps,
    lr: opt.LearningRate = TrainConfig.lr,
    batch_size: opt.BatchSize = TrainConfig.batch_size,
    optimizer: opt.Optimizer = TrainConfig.optimizer,
    warmup_steps: opt.WarmupSteps = TrainConfig.warmup_steps,
    dropout: opt.Dropout = TrainConfig.dropout,
    weight_decay: opt.WeightDecay = TrainConfig.weight_decay,
    average_tail: opt.AverageTail = TrainConfig.average_tail,
    loss_on: opt.LossOn = TrainConfig.loss_on,
    teacher: opt.Teacher = None,
    teacher_samples: opt.TeacherSamples = 0,
    patience: opt.Patience = None,
    seed: opt.Seed = TrainConfig.seed,
    n_embd: opt.NEmbd = ModelConfig.n_embd,
    n_head: opt.NHead = ModelConfig.n_head,
    n_layer: opt.NLayer = ModelConfig.n_layer,
    block_size: opt.BlockSize = ModelConfig.block_size,
    n_ff_exp: opt.NFfExp = ModelConfig.n_ff_exp,
    positions: opt.Positions = ModelConfig.positions,
    activation: opt.Activation = ModelConfig.activation,
    token_shift: opt.TokenShift = ModelConfig.token_shift,
    qk_norm: opt.QkNorm = ModelConfig.qk_norm,
    final_norm: opt.FinalNorm = ModelConfig.final_norm,
    out_scale: opt.OutScale = ModelConfig.out_scale,
    max_weights: opt.MaxWeights = None,
    max_memory: opt.MaxMemory = None,
    engine: opt.Engine = "compiled",
    dtype: opt.Dtype = None,
    threads: opt.Threads = 1,
    preset: opt.Preset = None,
    genome: opt.Genome = None,
    resume: opt.Resume = None,
    repeat: opt.Repeat = None,
    from_: opt.From = None,
    force: opt.Force = False,
    checkpoint_every: opt.CheckpointEvery = None,
    format: opt.Format = None,
    num_samples: opt.NumSamples = None,
    novel: opt.Novel = False,
    plot: opt.Plot = False,
    as_json: opt.AsJson = False,
) -> None:
    """Train a model and write it to a directory.

    The defaults are Karpathy's run: 32,033 names, 1,000 steps, 20 samples. With other data, the
    defaults depend on the number and lengths of the documents.
    """
    started = perf_counter()
    if num_samples:
        if num_samples < 0:
            raise ConfigError(f"--num-samples (-n) must be >= 0, got {num_samples}")
        check_count("--num-samples (-n)", num_samples)
    if checkpoint_every is not None:
        check_count("checkpoint_every", checkpoint_every)
    if preset and genome:
        raise ConfigError("--preset and --genome cannot be used together; omit one of them")
    given = given_options(ctx)
    # Values out of range are refused before NumPy is loaded.
    TrainConfig(**{name: given[name] for name in vars(TrainConfig()).keys() & given.keys()})

    check_limits(given)

    from microgpt.storage.training_directory import TrainingDirectory, check_has_training
    from microgpt.training.engines import check_engine
    from microgpt_cli.training.job import new_job, recipe_options
    from microgpt_cli.training.repetition import repeated_job
    from microgpt_cli.training.replacement import confirm_replacement, is_repeated, unused_model
    from microgpt_cli.training.resumption import refuse_unfinished, resumed_job
    from microgpt_cli.training.run import run
    from microgpt_cli.training.time_limit import TimeLimit

    overrides = {**recipe_options(preset, genome, given), **given}
    settings = {**ctx.params, **overrides, "max_memory": max_memory and n_bytes(max_memory)}
    check_engine(engine, dtype, threads)
    _check_combinations(settings, given)
    job = None
    if resume:
        check_has_training(resume)
    elif repeat:
        job = repeated_job(repeat, output, given)
    else:
        limit = minutes and TimeLimit.of(minutes, started, has_plot=plot)
        job = new_job(settings, overrides, limit or None)
    with TrainingDirectory(resume or output) as directory:
        if job and not force:
            refuse_unfinished(directory)
            if not is_repeated(job.plan, output, given):
                job = job.later(confirm_replacement(output, unused_model(job.plan.input)))
        run(job or resumed_job(directory, given, started), directory, ctx.params)


def _check_combinations(settings: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise ConfigError if an option has no effect together with the other options."""
    resume, chat = settings["resume"], settings["chat"]
    if "vocab_size" in given and settings["tokenizer"] != "bpe" and not resume:
        raise ConfigError(
            "--vocab-size requires --tokenizer bpe; add --tokenizer bpe or omit --vocab-size"
        )
    if settings["teacher_samples"] and not (settings["teacher"] or resume):
        raise ConfigError(
            "--teacher-samples requires --teacher; add --teacher or omit --teacher-samples"
        )
    for name in ("tokenizer", "vocab_size", "max_memory"):
        if name in given and settings["teacher"]:
            raise ConfigError(f"{flag_of(name)} cannot be used with --teacher; omit one of them")
    if "loss_on" in given and not (chat or resume):
        raise ConfigError("--loss-on requires --chat; add --chat or omit --loss-on")
    for flag, is_given in (("--chat", chat), ("--text stream", settings["text"] == "stream")):
        if is_given and settings["column"] is not None:
            raise ConfigError(f"--column cannot be used with {flag}; omit one of them")
    if settings["text"] == "stream" and chat:
        raise ConfigError("--text stream cannot be used with --chat; omit one of them")
    if settings["text"] == "stream" and "long_docs" in given:
        raise ConfigError("--long-docs cannot be used with --text stream; omit one of them")
