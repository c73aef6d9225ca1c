"""The options of `microgpt train`, in the order of its help."""

from pathlib import Path
from typing import Annotated, Literal

from microgpt import config
from microgpt.data.tokenizer import TokenizerKind
from microgpt.training.presets import PresetName
from microgpt_cli.terminal.options import data, panel

N_SAMPLES = 20  # printed after training
model, training, saving, output = map(panel, ("Model", "Training", "Saving", "Output"))

Output = Annotated[Path, data(help="Directory for the model.")]
Text = Annotated[
    config.TextKind,
    data(help="lines: a document a line. stream: running text, which begins and ends anywhere."),
]
LongDocs = Annotated[
    config.LongDocs,
    data(
        help="Documents longer than the block size: learn all of them in pieces (window), what "
        "fits (truncate), nothing (skip)."
    ),
]
ValFraction = Annotated[
    float,
    data(help="Share of the documents to hold out; the weights that predict them best are kept."),
]
TestFraction = Annotated[
    float, data(help="Share to hold out to the very end, for an honest figure.")
]
Tokenizer = Annotated[TokenizerKind, data(help="char: characters. bpe: pieces that come often.")]
VocabSize = Annotated[int, data(help="With bpe: tokens, special ones included.")]
Steps = Annotated[int, training(help="Updates of the weights.")]
LearningRate = Annotated[float, training(help="Learning rate; falls linearly to 0.")]
BatchSize = Annotated[int, training(help="Documents per step.")]
Dropout = Annotated[float, training(help="Dropout probability; reduces overfitting.")]
WeightDecay = Annotated[float, training(help="AdamW weight decay.")]
AverageTail = Annotated[
    float, training(help="Share of the training, its end, whose weights are averaged.")
]
LossOn = Annotated[
    config.LossOn,
    training(help="With --chat: learn the assistant's turns alone, or the user's as well."),
]
Patience = Annotated[
    int | None, training(help="Stop early after N of the 20 validation checks without improvement.")
]
Seed = Annotated[int, training(help="Same seed, same model, same samples.")]
NEmbd = Annotated[int, model(help="Width: numbers per token.")]
NHead = Annotated[int, model(help="Attention heads; they share n_embd.")]
NLayer = Annotated[int, model(help="Depth: transformer blocks.")]
BlockSize = Annotated[int, model(help="Context: tokens the model can see.")]
NFfExp = Annotated[int, model(help="MLP width, in multiples of n_embd.")]
Engine = Annotated[
    config.EngineName, training(help="compiled: fast. reference: plain Python, to be read.")
]
Dtype = Annotated[
    config.DType | None, training(help="Precision of the compiled engine.  [default: float32]")
]
Threads = Annotated[
    int, training(help="Processor cores that share a batch; the result is the same.")
]
Preset = Annotated[
    PresetName | None,
    model(
        help="Start from a tested recipe, its data included unless --input names others; other "
        "options override it.  names-…: the best names in so many seconds.  text: longer texts of "
        "your own, which --input names, in minutes.  chat: a small assistant, in five.  "
        "karpathy: the defaults."
    ),
]
Genome = Annotated[
    Path | None,
    model(help="Shape, steps and learning rate from a genome.json; other options override it."),
]
Resume = Annotated[
    Path | None,
    saving(help="Go on with the training in this directory, perhaps with other --steps."),
]
From = Annotated[
    Path | None, saving("--from", help="Begin with the weights of the model in this directory.")
]
Force = Annotated[bool, saving("--force", help="Begin anew where a training has not ended.")]
CheckpointEvery = Annotated[
    int | None,
    saving(help="Steps after which to keep a state to go on from.  [default: every 5 seconds]"),
]
Format = Annotated[
    Literal["json", "safetensors"] | None,
    saving(help="Of the weights.  [default: json up to a million weights]"),
]
NumSamples = Annotated[
    int | None,
    output(help=f"Samples to print at the end; not with --chat.  [default: {N_SAMPLES}]"),
]
Plot = Annotated[bool, output("--plot", help="Draw the losses into the directory.")]
AsJson = Annotated[bool, output("--json", help="Print one JSON document.")]
