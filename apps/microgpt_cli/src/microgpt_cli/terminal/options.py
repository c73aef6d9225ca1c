"""Options shared by several commands, and their help panels."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

DEFAULT_MODEL_DIR = Path("output")
RUNS = Path("experiments")  # directory of searches and sweeps
DEFAULT_GENOME = Path("genome.json")  # written by a search
DEFAULT_TEXT, DEFAULT_CHAT = "names.txt", "chat.jsonl"  # in data/, or bundled


def panel(title: str) -> Any:
    """Return typer.Option for one panel of a command's help."""
    return partial(typer.Option, rich_help_panel=title)


data, workers_panel = panel("Data"), panel("Workers")

ModelDir = Annotated[Path, typer.Option(help="Directory of the model.")]
TEMPERATURE_HELP = "0 always takes the likeliest token, 1 follows the odds."
Temperature = Annotated[float, typer.Option(help=TEMPERATURE_HELP)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Threads = Annotated[int, typer.Option(help="Processor cores to use; the result is the same.")]
Input = Annotated[
    Path | None,
    data(
        help="UTF-8 text, a document a line; with --chat, JSONL, a conversation a line.  "
        f"[default: data/{DEFAULT_TEXT}, data/{DEFAULT_CHAT}]"
    ),
]
Chat = Annotated[bool, data("--chat", help="Learn to chat.")]
Workers = Annotated[
    int | None, workers_panel(help="Trainings at once; the result is the same.  [default: 1]")
]
Scheduler = Annotated[
    str | None,
    workers_panel(help="Of a Dask cluster that has microgpt, such as tcp://host:8786."),
]


def given_options(ctx: typer.Context) -> dict[str, Any]:
    """Return the options set by the user, by name."""
    sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
    return {
        name: ctx.params[name]
        for name, source in sources.items()
        if source and source.name != "DEFAULT"
    }
