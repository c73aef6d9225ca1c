"""The options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

ModelDir = Annotated[Path, typer.Option(help="Directory of the model.")]
Temperature = Annotated[
    float, typer.Option(help="0 always takes the likeliest token, 1 follows the odds.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

Threads = Annotated[int, typer.Option(help="Processor cores to use; the result is the same.")]

DEFAULT_MODEL_DIR = Path("output")
RUNS = Path("experiments")  # where runs of evolution are kept
DEFAULT_GENOME = Path("genome.json")  # where a search leaves its winner
N_SAMPLES = 20  # that a training makes up at its end
DEFAULT_TEXT, DEFAULT_CHAT = "names.txt", "chat.jsonl"  # in data/, and with microgpt
