"""The inputs of `microgpt train`: documents, a parent model and teachers."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from microgpt import (
    LINE,
    PRESETS,
    ConfigError,
    Document,
    Given,
    ReadOptions,
    SavedModel,
    Split,
    Teachers,
    TextFile,
    TextKind,
    TrainingJob,
    bundled,
    find_plugins,
    load_documents,
    records_of,
)
from microgpt_cli.model_loading import load_model
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import DEFAULT_CHAT, DEFAULT_TEXT
from microgpt_cli.terminal.progress_bar import with_progress

N_EXAMPLES, MAX_EXAMPLE = 4, 60  # number and maximum length of examples for the page
N_SEARCHED = 100  # number of conversations in which to look for examples


def load_teachers(paths: Sequence[Path]) -> Teachers | None:
    """Return the teachers in directories, which show their progress; None without directories."""
    models = tuple(map(load_model, paths))
    return Teachers(models, names=[*map(str, paths)], show=with_progress) if models else None


def text_of(parent: SavedModel | None, teachers: Teachers | None) -> TextKind | None:
    """Return the kind of text that the parent, or the first teacher, was trained on, if any."""
    like = parent or (teachers and teachers.models[0])
    return like.config.text if isinstance(like, SavedModel) else None


def read_input(
    data: Path | None, how: Given, text: TextKind | None = None
) -> tuple[TextFile, Sequence[Document] | str]:
    """Return the documents, and their file with its absolute path; by default, the preset's.

    Args:
        how: the fields of `ReadOptions` and the preset, if they are given.
        text: kind of text, unless it is given.
    """
    file = TextFile(data or _default_data(how.get("preset"), chat=how.get("chat", False)))
    given = {name: value for name, value in how.items() if value is not None}
    if given.get("text") == "lines" and not given.keys() & {"column", "chat"}:
        given = {"separator": LINE, **given}
    docs = load_documents(file, ReadOptions.from_settings({"text": text, **given}), tell=note)
    file.path = Path(os.path.abspath(file.path))
    return file, docs


def _default_data(preset: str | None, *, chat: bool) -> Path:
    facts = PRESETS[preset] if preset else {"data": DEFAULT_CHAT if chat else DEFAULT_TEXT}
    if "data" not in facts:
        raise ConfigError(f"--preset {preset} requires your own data; pass it with --data")
    if facts.get("reader", "") not in ("", *find_plugins("readers")):
        raise ConfigError(
            f"--preset {preset} without --data requires the package microgpt-characters; install it"
        )
    return default_input(facts["data"])


def default_input(name: str = DEFAULT_TEXT) -> Path:
    """Return the default data file in ./data, or the bundled file if ./data has none."""
    path = Path("data", name)
    if os.path.exists(path):
        return path
    note(f"{path} not found; using the bundled {name}")
    return bundled(name)


def with_records(job: TrainingJob, file: TextFile, given: Given) -> TrainingJob:
    """Return a job that records where its inputs come from.

    Args:
        given: what the user has given.
    """
    if given.get("budget") and "steps" in given:  # as a time limit has corrected them
        job = job.with_steps(given["steps"])
    plan, parent = job.plan, job.parent
    typed = {name: given[name] for name in given if name not in ("steps", "threads")}
    plan = replace(
        plan,
        input=file.path,
        given={**plan.given, **typed},
        parent_sha256=parent.sha256 if isinstance(parent, SavedModel) else None,
        teachers=records_of(job.teachers),
        examples=() if file.is_chat_export else examples(job.sets),  # people's are private
    )
    return replace(job, plan=plan)


def examples(sets: Split) -> tuple[str, ...]:
    """Return the first short messages that a chat model reads, as examples for its page."""
    first = [doc[0] for doc in sets.train[:N_SEARCHED] if not isinstance(doc, str)]
    texts = [one.content for one in first if one.role == "user" and len(one.content) <= MAX_EXAMPLE]
    return (*dict.fromkeys(texts),)[:N_EXAMPLES]
