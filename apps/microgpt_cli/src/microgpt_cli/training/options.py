"""The options of `microgpt train`, in the order of the help."""

from pathlib import Path
from typing import Annotated, Literal

from microgpt import config
from microgpt.data.tokenizer import TokenizerKind
from microgpt.training.presets import PresetName
from microgpt_cli.terminal.options import (
    JSON_HELP,
    LR,
    NUM_SAMPLES,
    SEED_HELP,
    THREADS_HELP,
    data,
    panel,
)

N_SAMPLES = 20  # default number of samples printed after training
model, training, saving, output = map(panel, ("Model", "Training", "Saving", "Output"))

Output = Annotated[Path, data("--model", "--output", help="Directory for the model.")]
TEXT_HELP = (
    "lines: one document per line. stream: one running text.  "
    "[default: stream for files that look like a book, else lines]"
)
Text = Annotated[config.TextKind, data(hidden=True, help=TEXT_HELP, show_default=False)]
LongDocs = Annotated[
    config.LongDocs,
    data(
        hidden=True,
        help="How to handle documents longer than the block size: split into windows, truncate "
        "or skip.",
    ),
]
ValFraction = Annotated[
    float,
    data(
        help="Fraction of documents to hold out for validation; the weights with the lowest "
        "held-out loss are kept."
    ),
]
TestFraction = Annotated[
    float, data(hidden=True, help="Fraction of documents to hold out for the final test loss.")
]
Holdout = Annotated[
    config.Holdout | None,
    data(
        hidden=True,
        help="How to hold out running text. spread: evenly spaced stretches. tail: the end of "
        "the text.  [default: spread]",
    ),
]
Tokenizer = Annotated[
    TokenizerKind, data(hidden=True, help="char: one token per character. bpe: subword tokens.")
]
VocabSize = Annotated[
    int, data(hidden=True, help="Size of the BPE vocabulary, including special tokens.")
]
Minutes = Annotated[
    float | None,
    training(
        help="Choose all settings for this time. The time is that of the whole command except "
        "compilation; some documents are held out for validation and testing.",
    ),
]
Budget = Annotated[
    float | None,
    training(
        hidden=True,
        help="Like --minutes, but for a number of operations, such as 5e13, whatever the speed. "
        "`train --minutes` prints the number that gives its model again.",
    ),
]
Steps = Annotated[int, training(help="Number of training steps.")]
LearningRate = Annotated[
    float | None,
    training(
        *LR,
        help="Learning rate; decays linearly to 0.  [default: 0.01; lower if n_embd > 16]",
    ),
]
BatchSize = Annotated[int, training(hidden=True, help="Number of documents per training step.")]
Optimizer = Annotated[
    config.Optimizer,
    training(hidden=True, help="muon: Muon for the matrices of the blocks, AdamW for the rest."),
]
WarmupSteps = Annotated[
    int, training(hidden=True, help="Increase the learning rate linearly over the first N steps.")
]
Dropout = Annotated[float, training(hidden=True, help="Dropout probability; reduces overfitting.")]
WeightDecay = Annotated[float, training(hidden=True, help="AdamW weight decay.")]
AverageTail = Annotated[
    float, training(hidden=True, help="Average the weights over this final fraction of the steps.")
]
LossOn = Annotated[
    config.LossOn,
    training(
        hidden=True,
        help="With --chat, compute the loss on the assistant's turns only or on all turns.",
    ),
]
Teacher = Annotated[
    list[Path] | None,
    training(
        "--teacher",
        hidden=True,
        metavar="<path>",
        help="Learn from the predictions of the model in this directory. With several --teacher, "
        "their mean counts.",
    ),
]
TeacherSamples = Annotated[
    int,
    training(
        hidden=True, help="Also learn from this number of documents, which the teachers make up."
    ),
]
Patience = Annotated[
    int | None,
    training(hidden=True, help="Stop after N validation checks (20 per run) without improvement."),
]
Seed = Annotated[int, training(hidden=True, help=SEED_HELP)]
NEmbd = Annotated[int, model(help="Embedding width.")]
NHead = Annotated[int, model(hidden=True, help="Number of attention heads; must divide n_embd.")]
NLayer = Annotated[int, model(help="Number of transformer blocks.")]
BlockSize = Annotated[int, model(help="Context length in tokens.")]
NFfExp = Annotated[int, model(hidden=True, help="MLP width, in multiples of n_embd.")]
Positions = Annotated[
    config.Positions, model(hidden=True, help="Learned or rotary position embeddings.")
]
Activation = Annotated[
    config.Activation, model(hidden=True, help="Activation of the MLP: ReLU or squared ReLU.")
]
TokenShift = Annotated[
    bool,
    model(
        "--token-shift", hidden=True, help="Also read the previous token, in embeddings and MLPs."
    ),
]
QkNorm = Annotated[bool, model("--qk-norm", hidden=True, help="Normalize queries and keys.")]
FinalNorm = Annotated[
    bool, model("--final-norm", hidden=True, help="Normalize before the projection to logits.")
]
OutScale = Annotated[
    float, model(hidden=True, help="Scale factor of the initial attn_wo and mlp_fc2 weights.")
]
MaxWeights = Annotated[
    int | None, model(hidden=True, help="Choose a model of at most this many weights.")
]
MaxMemory = Annotated[
    str | None,
    model(
        hidden=True,
        metavar="<size>",
        help="Choose a model whose training needs at most this memory, such as 500MB or 2GB.",
    ),
]
Engine = Annotated[
    config.EngineName,
    training(hidden=True, help="compiled: fast. reference: plain Python, slow but readable."),
]
Dtype = Annotated[
    config.DType | None,
    training(hidden=True, help="Precision of the compiled engine.  [default: float32]"),
]
Threads = Annotated[int, training(hidden=True, help=THREADS_HELP)]
Preset = Annotated[
    PresetName | None,
    model(
        metavar="NAME",
        help="Start from a tested recipe, such as names-60s, text, shakespeare or chat, and its "
        "data; other options override them.  "
        "names-10s, names-60s, names-600s: train on names for about that many seconds.  "
        "text-60s, text (180 s), text-300s: train on your own longer texts; require --data.  "
        "shakespeare: the text recipe on Tiny Shakespeare.  chat: train a small assistant in about "
        "five minutes.  karpathy: the defaults.",
    ),
]
Genome = Annotated[
    Path | None,
    model(
        hidden=True,
        help="Use the shape, steps and learning rate of this genome; other options override it.",
    ),
]
Resume = Annotated[
    Path | None,
    saving(help="Resume the training run in this directory; --steps can be changed."),
]
Repeat = Annotated[
    Path | None,
    saving(
        hidden=True,
        help="Repeat the training run in this directory bit for bit, and write the model to "
        "--model.",
    ),
]
From = Annotated[Path | None, saving("--from", help="Start from the model in this directory.")]
Force = Annotated[
    bool,
    saving("--force", help="Replace the model or unfinished training run in the directory."),
]
CheckpointEvery = Annotated[
    int | None,
    saving(hidden=True, help="Number of steps between checkpoints.  [default: every 5 seconds]"),
]
Format = Annotated[
    Literal["json", "safetensors"] | None,
    saving(hidden=True, help="Format of the weights.  [default: json up to a million weights]"),
]
NumSamples = Annotated[
    int | None,
    output(
        *NUM_SAMPLES,
        hidden=True,
        help=f"Number of samples to print at the end; not with --chat.  [default: {N_SAMPLES}; for "
        "running text: 3]",
    ),
]
Novel = Annotated[
    bool,
    output(
        "--novel",
        hidden=True,
        help="List the samples that are not in the training data, each with the most similar "
        "document.",
    ),
]
Plot = Annotated[
    bool, output("--plot", hidden=True, help="Save plots of the losses in the model directory.")
]
AsJson = Annotated[bool, output("--json", hidden=True, help=JSON_HELP)]
