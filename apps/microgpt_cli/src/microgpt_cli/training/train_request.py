"""The options of `microgpt train`, which are checked before NumPy is loaded or a file is read."""

from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from microgpt import (
    ConfigError,
    check_conflicts,
    check_setting,
    checked,
    flag,
    plugin,
    preset_settings,
    setting,
)
from microgpt_cli.terminal.options import DATA, DEFAULT_MODEL_DIR

EXCLUSIVE = {
    "genome": ("preset",),
    "chat": ("num_samples",),
    "teacher": ("tokenizer", "vocab_size"),
    "resume": ("genome", "from_", "force"),
}
N_SAMPLES, N_STREAM_SAMPLES = 20, 3  # default number of samples of documents, and of running text
data, model, training, saving, printing = (
    partial(setting, panel=panel) for panel in ("Data", "Model", "Training", "Saving", "Output")
)


@dataclass(frozen=True)
class TrainRequest:
    """The parsed options of `microgpt train`; `given` holds the settings that the user typed."""

    given: dict[str, Any]
    input: Path | None = data(
        None,
        "UTF-8 text, one document per line; with --chat, JSONL, CSV or an exported chat.  "
        "[default: data/names.txt; with --chat: data/chat.jsonl]",
        *DATA,
        short=True,
    )
    output: Path = data(
        DEFAULT_MODEL_DIR, "Directory for the model.", "--model", "--output", short=True
    )
    teacher: list[Path] | None = training(
        None,
        "Learn from the predictions of the model in this directory. Can be repeated; "
        "the predictions are then averaged.",
        metavar="<path>",
    )
    genome: Path | None = model(
        None, "Use the shape, steps and learning rate of this genome; other options override it."
    )
    resume: Path | None = saving(
        None,
        "Resume the training run in this directory. If it has ended, add --steps or --minutes.",
        short=True,
    )
    from_: Path | None = saving(
        None, "Fine-tune the model in this directory.", "--from", short=True
    )
    force: bool = saving(
        False, "Replace the model or unfinished training run in the directory.", short=True
    )
    num_samples: int | None = printing(
        None,
        f"Number of samples to print at the end; not with --chat.  [default: {N_SAMPLES}; for "
        f"running text: {N_STREAM_SAMPLES}]",
        "--num-samples",
        "-n",
    )
    as_json: bool = printing(False, "Print one JSON document.", "--json")

    def settings(self) -> dict[str, Any]:
        """Check the options, and return the given settings and those of a genome or preset."""
        given, name = self.given, self.given.get("preset")
        recipe = preset_settings(name) if name and not self.resume else {}
        for name in given:
            check_setting(name, given[name], flag(name))
        if self.num_samples is not None:
            checked("--num-samples (-n)", self.num_samples, int, minimum=0)
        asked = {name for name, value in {**vars(self), **recipe, **given}.items() if value}
        for name, others in EXCLUSIVE.items():
            for other in others if name in asked else ():
                if other in asked:
                    shown = f"--{other.strip('_').replace('_', '-')}"
                    both = f"{shown} cannot be used with --{name}"
                    raise ConfigError(f"{both}; omit one of them")
        if self.genome:
            recipe = self._genome_settings(self.genome)
        if not self.resume:
            check_conflicts({**recipe, **given})
        return {**recipe, **given}

    def _genome_settings(self, path: Path) -> dict[str, Any]:
        read_recipe = plugin("recipes", "genome")
        if read_recipe is None:
            raise ConfigError("--genome requires microgpt-evolution; install it")
        facts = {name: fact for name, fact in read_recipe(path).items() if fact is not None}
        if self.given.keys() & {"minutes", "budget", "steps"}:  # ignore the genome's duration
            facts = {n: f for n, f in facts.items() if n not in ("steps", "budget", "evaluations")}
        return {**facts, "genome": sha256(path.read_bytes()).hexdigest()}
