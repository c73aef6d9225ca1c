"""The options of `microgpt train`, in the order of its help."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from microgpt import config
from microgpt.data.tokenizer import TokenizerKind
from microgpt.training.presets import PresetName
from microgpt_cli.terminal.options import DEFAULT_CHAT, DEFAULT_TEXT, N_SAMPLES

DATA, MODEL, TRAINING, SAVING, OUTPUT = "Data", "Model", "Training", "Saving", "Output"

Input = Annotated[
    Path | None,
    typer.Option(
        help="UTF-8 text, a document a line; with --chat, JSONL, a conversation a line.  "
        f"[default: data/{DEFAULT_TEXT}, data/{DEFAULT_CHAT}]",
        rich_help_panel=DATA,
    ),
]
Output = Annotated[Path, typer.Option(help="Directory for the model.", rich_help_panel=DATA)]
Chat = Annotated[bool, typer.Option("--chat", help="Learn to chat.", rich_help_panel=DATA)]
Text = Annotated[
    config.TextKind,
    typer.Option(
        help="lines: a document a line. stream: running text, which begins and ends anywhere.",
        rich_help_panel=DATA,
    ),
]
LongDocs = Annotated[
    config.LongDocs,
    typer.Option(
        help="Documents longer than the block size: learn all of them in pieces (window), what "
        "fits (truncate), nothing (skip).",
        rich_help_panel=DATA,
    ),
]
ValFraction = Annotated[
    float,
    typer.Option(
        help="Share of the documents to hold out; the weights that predict them best are kept.",
        rich_help_panel=DATA,
    ),
]
TestFraction = Annotated[
    float,
    typer.Option(
        help="Share to hold out to the very end, for an honest figure.", rich_help_panel=DATA
    ),
]
Tokenizer = Annotated[
    TokenizerKind,
    typer.Option(help="char: characters. bpe: pieces that come often.", rich_help_panel=DATA),
]
VocabSize = Annotated[
    int, typer.Option(help="With bpe: tokens, special ones included.", rich_help_panel=DATA)
]
Steps = Annotated[int, typer.Option(help="Updates of the weights.", rich_help_panel=TRAINING)]
LearningRate = Annotated[
    float, typer.Option(help="Learning rate; falls linearly to 0.", rich_help_panel=TRAINING)
]
BatchSize = Annotated[int, typer.Option(help="Documents a step.", rich_help_panel=TRAINING)]
Dropout = Annotated[
    float,
    typer.Option(
        help="Share of each layer's results to leave out at random: what the model cannot learn by "
        "heart it has to understand.",
        rich_help_panel=TRAINING,
    ),
]
WeightDecay = Annotated[
    float,
    typer.Option(
        help="Share of the learning rate by which weights shrink, a step.",
        rich_help_panel=TRAINING,
    ),
]
AverageTail = Annotated[
    float,
    typer.Option(
        help="Share of the training, its end, whose weights are averaged.",
        rich_help_panel=TRAINING,
    ),
]
LossOn = Annotated[
    config.LossOn,
    typer.Option(
        help="With --chat: learn the assistant's turns alone, or the user's as well.",
        rich_help_panel=TRAINING,
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        help="End when the held-out loss, which is measured 20 times, has been no better so often.",
        show_default=False,
        rich_help_panel=TRAINING,
    ),
]
Seed = Annotated[
    int,
    typer.Option(help="Same seed, same model, same samples.", rich_help_panel=TRAINING),
]
NEmbd = Annotated[int, typer.Option(help="Width: numbers a token.", rich_help_panel=MODEL)]
NHead = Annotated[
    int, typer.Option(help="Attention heads; they share n_embd.", rich_help_panel=MODEL)
]
NLayer = Annotated[int, typer.Option(help="Depth: transformer blocks.", rich_help_panel=MODEL)]
BlockSize = Annotated[
    int, typer.Option(help="Context: tokens the model can see.", rich_help_panel=MODEL)
]
NFfExp = Annotated[
    int, typer.Option(help="MLP width, in multiples of n_embd.", rich_help_panel=MODEL)
]
Engine = Annotated[
    config.EngineName,
    typer.Option(
        help="compiled: fast. reference: plain Python, to be read.",
        rich_help_panel=TRAINING,
    ),
]
Dtype = Annotated[
    config.DType | None,
    typer.Option(
        help="Precision of the compiled engine.  [default: float32]", rich_help_panel=TRAINING
    ),
]
Threads = Annotated[
    int,
    typer.Option(
        help="Processor cores that share a batch; the result is the same.",
        rich_help_panel=TRAINING,
    ),
]
Preset = Annotated[
    PresetName | None,
    typer.Option(
        help="All settings and, unless --input names others, the data of a training that is "
        "known to be good; options count more.  names-…: the best names in so many seconds.  "
        "text: longer texts of your own, which --input names, in minutes.  chat: a small "
        "assistant, in five.  karpathy: the defaults.",
        show_default=False,
        rich_help_panel=MODEL,
    ),
]
Genome = Annotated[
    Path | None,
    typer.Option(
        help="Shape, steps and learning rate from a genome.json; options count more.",
        show_default=False,
        rich_help_panel=MODEL,
    ),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        help="Go on with the training in this directory, perhaps with other --steps.",
        show_default=False,
        rich_help_panel=SAVING,
    ),
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        help="Begin with the weights of the model in this directory.",
        show_default=False,
        rich_help_panel=SAVING,
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Begin anew where a training has not ended.", rich_help_panel=SAVING
    ),
]
CheckpointEvery = Annotated[
    int | None,
    typer.Option(
        help="Steps after which to keep a state to go on from.  [default: every 5 seconds]",
        rich_help_panel=SAVING,
    ),
]
Format = Annotated[
    Literal["json", "safetensors"] | None,
    typer.Option(
        help="Of the weights.  [default: json up to a million weights]", rich_help_panel=SAVING
    ),
]
NumSamples = Annotated[
    int | None,
    typer.Option(
        help=f"Samples to print at the end; not with --chat.  [default: {N_SAMPLES}]",
        rich_help_panel=OUTPUT,
    ),
]
Plot = Annotated[
    bool,
    typer.Option("--plot", help="Draw the losses into the directory.", rich_help_panel=OUTPUT),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document.", rich_help_panel=OUTPUT)
]
