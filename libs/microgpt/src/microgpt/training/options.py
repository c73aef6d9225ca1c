"""The options of a training run, in the order of `microgpt train --help-all`."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

from microgpt.config import (
    Activation,
    DType,
    EngineName,
    ModelConfig,
    Optimizer,
    Positions,
    TextKind,
    TrainConfig,
    check_number,
    check_whole,
)
from microgpt.data.bpe import DEFAULT_VOCAB_SIZE
from microgpt.data.tokenizer import TokenizerKind
from microgpt.options import Options, setting
from microgpt.training.presets import PRESETS, PresetName

N_SAMPLES = 20  # default number of samples printed after training
data, model, training, saving, printing = (
    partial(setting, panel=panel) for panel in ("Data", "Model", "Training", "Saving", "Output")
)
NO_SHAPE = ModelConfig()


@dataclass(frozen=True)
class TrainOptions(Options):
    """Options that a user can set for a training run; a rule may replace the defaults."""

    input: Path | None = data(
        None,
        "UTF-8 text, one document per line; with --chat, JSONL or an exported chat.  "
        "[default: data/names.txt; with --chat: data/chat.jsonl]",
        "--data",
        "--input",
        short=True,
    )
    output: Path = data(
        Path("output"), "Directory for the model.", "--model", "--output", short=True
    )
    minutes: float | None = training(
        None,
        "Choose all settings for this time limit. It applies to the whole command "
        "except compilation; some documents are held out for validation and testing.",
        excludes="budget preset steps",
        short=True,
    )
    budget: float | None = training(
        None,
        "Like --minutes, but limits the number of operations, such as 5e13, so the speed has no "
        "effect. `train --minutes` prints the number that reproduces its model.",
        excludes="preset resume",
    )
    chat: bool = data(False, "Train on conversations.", excludes="text=stream", short=True)
    text: TextKind | None = data(
        None,
        "lines: one document per line. stream: one running text.  "
        "[default: stream for files that look like a book, else lines]",
    )
    column: str | None = data(
        None,
        "Read this column of a CSV or TSV file, or this field of JSON objects.",
        excludes="chat text=stream",
        short=True,
    )
    separator: str | None = data(
        None,
        "Line that separates documents of several lines, such as %. blank: blank lines. "
        "/PATTERN/: lines that contain a match of this regular expression.",
        excludes="chat column text=stream",
    )
    me: str | None = data(
        None,
        "Name of the participant who is the assistant in an exported chat between people.",
        requires="chat",
    )
    val_fraction: float = data(
        0.0,
        "Fraction of documents to hold out for validation; the weights with the lowest held-out "
        "loss are kept.",
        short=True,
    )
    test_fraction: float = data(0.0, "Fraction of documents to hold out for the final test loss.")
    tokenizer: TokenizerKind = data(
        "char", "char: one token per character. bpe: subword tokens.", excludes="teacher"
    )
    vocab_size: int = data(
        DEFAULT_VOCAB_SIZE,
        "Size of the BPE vocabulary, including special tokens.",
        excludes="teacher",
        requires="tokenizer=bpe",
    )
    steps: int = training(TrainConfig.steps, "Number of training steps.", short=True)
    until: int | None = training(
        None, "End after this step; the learning rate falls as if training went on to --steps."
    )
    lr: float | None = training(
        None,
        "Learning rate; decays linearly to 0.  [default: 0.01; lower if n_embd > 16]",
        "--learning-rate",
        "--lr",
        short=True,
    )
    batch_size: int = training(TrainConfig.batch_size, "Number of documents per training step.")
    optimizer: Optimizer = training(
        TrainConfig.optimizer,
        "muon: Muon for the matrices of the blocks, AdamW for the rest; begin with a learning rate "
        "of 0.003.",
    )
    warmup_steps: int = training(
        TrainConfig.warmup_steps, "Increase the learning rate linearly over the first N steps."
    )
    dropout: float = training(TrainConfig.dropout, "Dropout probability; reduces overfitting.")
    weight_decay: float = training(TrainConfig.weight_decay, "AdamW weight decay.")
    average_tail: float = training(
        TrainConfig.average_tail, "Average the weights over this final fraction of the steps."
    )
    unknown: str | None = training(
        None,
        "With --chat and few questions, the reply to a question that the model does not know.  "
        "[default: I don't know.]",
        requires="chat",
        excludes="resume",
    )
    teacher: list[Path] | None = training(
        None,
        "Learn from the predictions of the model in this directory. Can be repeated; "
        "the predictions are then averaged.",
        metavar="<path>",
    )
    patience: int | None = training(
        None, "Stop after N validation checks (20 per run) without improvement."
    )
    seed: int = training(TrainConfig.seed, "Random seed; the same seed gives the same result.")
    n_embd: int = model(ModelConfig.n_embd, "Embedding width.", short=True)
    n_head: int = model(ModelConfig.n_head, "Number of attention heads; must divide n_embd.")
    n_layer: int = model(ModelConfig.n_layer, "Number of transformer blocks.", short=True)
    block_size: int = model(ModelConfig.block_size, "Context length in tokens.", short=True)
    n_ff_exp: int = model(ModelConfig.n_ff_exp, "MLP width, in multiples of n_embd.")
    positions: Positions = model(ModelConfig.positions, "Learned or rotary position embeddings.")
    activation: Activation = model(
        ModelConfig.activation, "Activation of the MLP: ReLU or squared ReLU."
    )
    token_shift: bool = model(
        ModelConfig.token_shift, "Let embeddings and MLPs also read the previous token."
    )
    qk_norm: bool = model(ModelConfig.qk_norm, "Normalize queries and keys.")
    final_norm: bool = model(ModelConfig.final_norm, "Normalize before the projection to logits.")
    out_scale: float = model(
        ModelConfig.out_scale, "Scale factor of the initial attn_wo and mlp_fc2 weights."
    )
    portable: bool = model(
        False,
        "Train the Apertus architecture, which other programs support, for `export` to gguf and "
        "transformers: rotary positions, squared ReLU, both normalizations, no token shift.",
        excludes="token_shift positions=learned activation=relu resume from_ genome",
    )
    engine: EngineName | None = training(
        None,
        "compiled: fast. reference: plain Python, slow but readable.  [default: compiled, if it is "
        "installed]",
    )
    dtype: DType | None = training(
        None, "Precision of the weights.  [default: float32; reference: float64]"
    )
    threads: int = training(1, "Number of threads; does not change the result.", harmless=True)
    preset: PresetName | None = model(
        None,
        "Start from a tested recipe, such as names-60s, text, shakespeare or chat, and its data; "
        "other options override them.  "
        "names-10s, names-60s, names-600s: train on names for about that many seconds.  "
        "text-60s, text (180 s), text-300s: train on your own longer texts; require --data.  "
        "shakespeare: the text recipe on Tiny Shakespeare.  chat: train a small assistant in about "
        "five minutes.  karpathy: the default settings.",
        metavar="NAME",
        excludes="genome",
        short=True,
    )
    genome: Path | None = model(
        None,
        "Use the shape, steps and learning rate of this genome; other options override it.",
        excludes="resume",
    )
    resume: Path | None = saving(
        None,
        "Resume the training run in this directory; a finished one with --steps or --minutes.",
        short=True,
        is_record=True,
    )
    from_: Path | None = saving(
        None, "Fine-tune the model in this directory.", "--from", excludes="resume", short=True
    )
    force: bool = saving(
        False,
        "Replace the model or unfinished training run in the directory.",
        excludes="resume",
        short=True,
    )
    num_samples: int | None = printing(
        None,
        f"Number of samples to print at the end; not with --chat.  [default: {N_SAMPLES}; for "
        "running text: 3]",
        "--num-samples",
        "-n",
        harmless=True,
    )
    novel: bool = printing(
        False,
        "List the samples that are not in the training data, each with the most similar document.",
        harmless=True,
    )
    as_json: bool = printing(False, "Print one JSON document.", "--json", harmless=True)
    # Not options of the command: a genome, an earlier training or a caller in Python sets them.
    n_tokens: int | None = setting(None, "Number of tokens per training step.")
    gap: int | None = setting(
        None, "Number of unused characters around a held-out stretch; the context if it is None."
    )
    evaluations: int = setting(TrainConfig.evaluations, "Number of validation checks.")
    shuffle: bool = setting(True, "Whether to read the documents in random order.")
    examples: bool = setting(True, "Whether the page of the model offers messages of the data.")
    single: bool = setting(False, "Whether to train one model instead of an ensemble.")
    n_teachers: int = setting(0, "Number of teachers in the ensemble.")
    student_length: float = setting(
        2.0, "Number of the student's steps, as a multiple of a teacher's."
    )

    @classmethod
    def of_preset(cls, name: PresetName) -> Self:
        """Return the options that a preset sets."""
        preset, facts = PRESETS[name], vars(PRESETS[name].model) | vars(PRESETS[name].config)
        facts |= {"val_fraction": preset.val_fraction, "test_fraction": preset.test_fraction}
        facts |= {"chat": True} if preset.data == "grammar" else {}
        if preset.n_teachers:
            facts |= {"n_teachers": preset.n_teachers, "student_length": preset.student_length}
        # These depend on the file and the options.
        facts |= dict.fromkeys(("text", "vocab_size"))
        return cls.of(facts, f"--preset {name}")

    def shape(self, base: ModelConfig = NO_SHAPE) -> ModelConfig:
        """Return a model shape with the options that are set; vocab_size remains as it is."""
        return replace(self.applied_to(base), vocab_size=base.vocab_size)

    @property
    def has_budget(self) -> bool:
        """Whether the time or the operations are limited."""
        return self.minutes is not None or self.budget is not None

    def check_ranges(self) -> None:
        """Raise ConfigError if an option is out of range, before any data are read."""
        for name in ("minutes", "budget"):
            if (limit := getattr(self, name)) is not None:
                check_number(self.flag(name), limit, "a number greater than 0", lambda x: x > 0)
        if self.num_samples is not None:
            check_whole("--num-samples (-n)", self.num_samples, minimum=0)
        self.applied_to(TrainConfig())
