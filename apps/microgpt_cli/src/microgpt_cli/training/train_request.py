"""What a user asks of `microgpt train`. It is checked before NumPy is loaded or a file is read."""

from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from microgpt import ConfigError, check_conflicts, check_setting, checked, flag, plugin, setting
from microgpt_cli.terminal.options import DATA, DEFAULT_MODEL_DIR

N_SAMPLES, N_STREAM_SAMPLES = 20, 3  # default numbers of samples, and of those of running text
data, model, training, saving, printing = (
    partial(setting, panel=panel) for panel in ("Data", "Model", "Training", "Saving", "Output")
)


@dataclass(frozen=True)
class TrainRequest:
    """What a user asks of `microgpt train`: the given settings, and options of the command."""

    given: dict[str, Any]
    input: Path | None = data(
        None,
        "UTF-8 text, one document per line; with --chat, JSONL or an exported chat.  "
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
        "Resume the training run in this directory; a finished one with --steps or --minutes.",
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

    @property
    def is_default(self) -> bool:
        """Whether nothing is asked that changes the model."""
        changes = self.input or self.teacher or self.genome or self.from_
        return not (self.given.keys() - {"threads"} or changes)

    @property
    def threads(self) -> int:
        """The number of threads."""
        return int(self.given.get("threads", 1))

    def settings(self) -> dict[str, Any]:
        """Return the given settings, completed by those of a genome or preset.

        Raises:
            ConfigError: a setting is invalid or excludes another.
        """
        given = self.given
        completed = given if self.resume or self.genome else self._completed()
        for name in given:
            check_setting(name, given[name], flag(name))
        if self.num_samples is not None:
            checked("--num-samples (-n)", self.num_samples, int, minimum=0)
        exclusive = [
            ("--genome", self.genome, given, ("preset",)),
            ("--chat", completed.get("chat"), vars(self), ("num_samples",)),
            ("--teacher", self.teacher, given, ("tokenizer", "vocab_size")),
            ("--resume", self.resume, vars(self), ("genome", "from_", "force")),
        ]
        for name, value, others, names in exclusive:
            for other in names:
                if value and others.get(other):
                    shown = f"--{other.strip('_').replace('_', '-')}"
                    both = f"{shown} cannot be used with {name}"
                    raise ConfigError(f"{both}; omit one of them")
        return self._completed() if self.genome else completed

    def _completed(self) -> dict[str, Any]:
        given, recipe = self.given, dict[str, Any]()
        if self.genome:
            recipe = self._genome_settings(self.genome)
        elif name := given.get("preset"):
            from microgpt import preset_settings

            recipe = preset_settings(name)
        joined = {**recipe, **given}
        check_conflicts(joined)
        return joined

    def _genome_settings(self, path: Path) -> dict[str, Any]:
        read_recipe = plugin("recipes", "genome")
        if read_recipe is None:
            raise ConfigError(
                "--genome requires microgpt-evolution, which is not installed; install this package"
            )
        facts = {name: fact for name, fact in read_recipe(path).items() if fact is not None}
        limits = [name for name in ("minutes", "budget") if self.given.get(name)]
        if limits and "steps" in facts:
            what = f"{flag(limits[0])} cannot be used with --steps {facts['steps']}"
            raise ConfigError(f"{what} (--genome {path}); omit one of them")
        if limits or "steps" in self.given:
            facts = {n: fact for n, fact in facts.items() if n not in ("budget", "evaluations")}
        return {**facts, "genome": sha256(path.read_bytes()).hexdigest()}
