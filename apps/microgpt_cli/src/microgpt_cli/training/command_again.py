"""The command that trains a recorded model again."""

import shlex
from collections.abc import Iterable

from microgpt import ARCHITECTURE, DEFAULT_DTYPE, TrainingPlan, TrainOptions, path_from_text

DATA = ("input", "chat", "column", "me", "separator", "text", "seed", "engine", "dtype")
SHAPE = ("n_embd", "n_head", "n_layer", "block_size", "n_ff_exp", *ARCHITECTURE)
STEP = (
    *("steps", "batch_size", "lr", "optimizer", "warmup_steps", "dropout", "weight_decay"),
    *("average_tail", "patience", "val_fraction", "test_fraction"),
)


def command_again(plan: TrainingPlan) -> str:
    """Return the command that trains the model of a plan again, without its directory.

    Settings that suited a budget or a few questions are chosen again. Other settings are a preset,
    Karpathy's by default, and what differs from it.
    """
    recorded = {**vars(plan), **vars(plan.model), **vars(plan.config), **vars(plan.data)}
    recorded |= {
        "chat": plan.tokenizer.is_chat,
        "text": "stream" if plan.config.text == "stream" else None,
        "engine": None if plan.engine == "compiled" else plan.engine,
        "dtype": None if plan.dtype == DEFAULT_DTYPE[plan.engine] else plan.dtype,
    }

    def differing(names: Iterable[str], usual: TrainOptions) -> dict[str, object]:
        return {name: recorded[name] for name in names if recorded[name] != getattr(usual, name)}

    facts = differing(DATA, TrainOptions())
    if plan.budget or plan.extra:
        facts["budget"] = plan.budget
    elif plan.parent_sha256:
        facts |= {**differing(STEP, TrainOptions()), "from_": "PARENT"}
    else:
        facts["preset"] = preset = plan.preset or "karpathy"
        facts |= differing((*SHAPE, *STEP), TrainOptions.of_preset(preset))
    if plan.tokenizer.kind == "bpe":
        facts |= {"tokenizer": "bpe", "vocab_size": plan.model.vocab_size}
    words = ["microgpt train"]
    for name, value in facts.items():
        if value is not None and value is not False:
            text = "" if value is True else shlex.quote(str(value))
            words.append(f"{TrainOptions.flag(name)} {text}".rstrip())
    for each in plan.teachers:
        words.append(f"--teacher {shlex.quote(str(path_from_text(each.directory)))}")
    return " ".join(words)
