"""Plan a new run of `microgpt train`: its documents, parent and teachers, and its settings."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from string import digits

from microgpt import (
    LINE,
    PRESETS,
    ConfigError,
    Document,
    Given,
    Preparation,
    ReadOptions,
    SavedModel,
    Split,
    Teachers,
    TextFile,
    TextKind,
    TimeLimit,
    TrainingJob,
    bundled,
    find_plugins,
    hold_out,
    load_documents,
    plan_training,
    prepare_replies,
    recorded_path,
    records_of,
    running_time,
)
from microgpt_cli.baselines import baselines
from microgpt_cli.chosen_settings import explain_settings
from microgpt_cli.model_loading import load_model
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import DEFAULT_CHAT, DEFAULT_TEXT
from microgpt_cli.terminal.progress_bar import with_progress
from microgpt_cli.training.train_request import TrainRequest

N_EXAMPLES, MAX_EXAMPLE = 4, 60  # number and maximum length of recorded example messages
N_SEARCHED = 100  # number of conversations in which to look for examples


def planned(given: Given, request: TrainRequest, started: float) -> TrainingJob:
    """Return a new training job: read and split the documents, and choose the missing settings."""
    later = request.given.get("steps") if given.get("budget") else None  # applied after planning
    if later:
        given = {name: value for name, value in given.items() if name != "steps"}
    parent = load_model(request.from_) if request.from_ else None
    teachers = load_teachers(request.teacher or ())
    like = parent or (teachers and teachers.models[0])
    kind = like.config.text if isinstance(like, SavedModel) else None
    file, docs = read_input(request.input, given, kind)
    text: TextKind = "stream" if isinstance(docs, str) else "lines"
    given = {"shuffle": not file.is_in_order, **given, "text": text}
    sources = [each for each in (parent, teachers) if each]
    prepared = Preparation(given) if sources else prepare_replies(docs, given, note, file)
    sets = hold_out(docs, prepared.given, sources, note)
    minutes = given.get("minutes")
    losses = baselines(sets, text) if sets.validation else {}
    job = plan_training(
        sets,
        prepared.given,
        tokenizer=prepared.tokenizer,
        extra=prepared.extra,
        parent=parent,
        teachers=teachers,
        limit=TimeLimit(minutes, started, clock=running_time) if minutes else None,
        tell=note,
    )
    for line in explain_settings(job.choice) if job.choice else ():
        note(line)
    typed = {n: value for n, value in request.given.items() if n not in ("steps", "threads")}
    plan = replace(
        job.plan,
        baselines=losses,
        input=file.path,
        given={**job.plan.given, **typed},
        teachers=records_of(teachers),
        examples=() if file.is_chat_export else first_messages(sets),  # an exported chat is private
    )
    job = replace(job, plan=plan)
    return job.with_steps(later) if later else job


def load_teachers(paths: Sequence[Path]) -> Teachers | None:
    """Load the teacher models in the given directories; return None if there are none."""
    models = tuple(map(load_model, paths))
    return Teachers(models, names=[*map(str, paths)], show=with_progress) if models else None


def read_input(
    data: Path | None, how: Given, text: TextKind | None = None
) -> tuple[TextFile, Sequence[Document] | str]:
    """Return the data file (default: the preset's), with an absolute path, and its documents."""
    file = TextFile(data or _default_data(how.get("preset"), chat=how.get("chat", False)))
    given = {name: value for name, value in how.items() if value is not None}
    if given.get("text") == "lines" and not given.keys() & {"column", "chat"}:
        given = {"separator": LINE, **given}
    docs = load_documents(file, ReadOptions.from_settings({"text": text, **given}), tell=note)
    file.path = Path(recorded_path(file.path))
    return file, docs


def _default_data(preset: str | None, *, chat: bool) -> Path:
    facts = PRESETS[preset] if preset else {"data": DEFAULT_CHAT if chat else DEFAULT_TEXT}
    if "data" not in facts:
        raise ConfigError(f"--preset {preset} requires your own data; pass it with --data")
    if facts.get("reader", "") not in ("", *find_plugins("readers")):
        raise ConfigError(f"--preset {preset} needs --data or microgpt-characters; add one")
    return default_input(facts["data"])


def default_input(name: str = DEFAULT_TEXT) -> Path:
    """Return the default data file in ./data, or the bundled file if ./data has none."""
    path = Path("data", name)
    if os.path.exists(path):
        return path
    note(f"{path} not found; using the bundled {name}")
    return bundled(name)


def first_messages(sets: Split) -> tuple[str, ...]:
    """Return a few short opening messages of training conversations, if possible of all kinds."""
    first: dict[str, str] = {}  # by reply: other wordings of a question have the same reply
    for doc in sets.train[:N_SEARCHED]:
        if not isinstance(doc, str) and len(doc[0].content) <= MAX_EXAMPLE:
            first.setdefault(doc[1].content, doc[0].content)
    kinds: dict[str, str] = {}
    for text in first.values():
        kinds.setdefault(text.strip(digits)[:5], text)  # many users ask for sums
    return (*dict.fromkeys((*kinds.values(), *first.values())),)[:N_EXAMPLES]
