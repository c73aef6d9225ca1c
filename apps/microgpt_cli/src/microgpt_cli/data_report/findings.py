"""Statistics of a training file, and how fast a model trains on it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter

from microgpt.config import MAX_SIZE, ModelConfig, TrainConfig
from microgpt.data.documents import load_conversations, load_text
from microgpt.data.statistics import Cut, DataReport, count_with_others, describe
from microgpt.data.text_file import TextFile
from microgpt.data.tokenizer import Document, Tokenizer
from microgpt.state import TrainEvent
from microgpt.storage.model_directory import SavedModel, load
from microgpt.train import train
from microgpt.training.engines import prepare_engine
from microgpt.training.finetune import extended_tokenizer
from microgpt_cli.terminal.console import note

N_DOCS = 1000  # that are trained on: enough for a fair mix, and no wait before the first step
PROBE_S = 0.3
PERCENTS = (0, 5, 25, 50, 75, 95, 99, 100)


@dataclass(frozen=True)
class Suitability:
    """What a model does not know of some documents."""

    unknown: Mapping[str, int]  # counts of characters it does not know, the most frequent first
    n_docs: int  # that have one of them


@dataclass(frozen=True)
class TrainingSpeed:
    """How fast a model trains, a document a step, in one thread."""

    docs_per_s: float
    tokens_per_s: float


@dataclass(frozen=True)
class DatasetReport:
    """All that `microgpt info --data` tells about a training file."""

    file: TextFile
    report: DataReport
    model: ModelConfig  # its training was timed; block size: asked for, its own, or recommended
    cuts: Sequence[Cut]  # what lies beyond this block size and others, the smallest first
    speed: TrainingSpeed
    suitability: Suitability | None


def examine(
    data: Path, model_dir: Path | None, *, chat: bool, block_size: int | None
) -> DatasetReport:
    """Read a file, describe it, and train on it for a moment.

    Without `chat` the model tells whether the file has conversations, or the file's name does.
    """
    saved = load(model_dir) if model_dir else None
    is_chat = chat or (saved.tokenizer.is_chat if saved else data.suffix.lower() == ".jsonl")
    file = TextFile(data)
    docs: Sequence[Document] = load_conversations(file, tell=note) if is_chat else load_text(file)
    subwords = saved if saved and saved.tokenizer.kind == "bpe" else None
    report = describe(docs, extended_tokenizer(subwords, docs) if subwords else None)
    model = replace(
        saved.model if saved else ModelConfig(block_size=report.block_size),
        vocab_size=report.tokenizer.vocab_size,
    )
    model = replace(model, block_size=block_size or model.block_size)
    prepare_engine("compiled", tell=note)
    return DatasetReport(
        file=file,
        report=report,
        model=model,
        cuts=_cuts(report, model.block_size),
        speed=measure_speed(docs, model, report.tokenizer),
        suitability=_suitability(saved, report, docs) if saved else None,
    )


def as_facts(found: DatasetReport) -> dict[str, object]:
    """Return what was found as one JSON document."""
    report, speed = found.report, found.speed
    facts: dict[str, object] = {
        "file": str(found.file.path),
        "is_chat": report.tokenizer.is_chat,
        "n_docs": report.n_docs,
        "n_repeats": report.n_repeats,
        "most_frequent": [{"document": _plain(doc), "n": n} for doc, n in report.most_frequent],
        "n_tokens": report.n_tokens,
        "vocab_size": report.tokenizer.vocab_size,
        "char_counts": report.char_counts,
        "rare": report.rare,
        "has_bom": found.file.has_bom,
        "line_ends": sorted(found.file.line_ends),
        "lengths": {f"p{percent}": report.percentile(percent) for percent in PERCENTS},
        "histogram": [asdict(each) for each in report.histogram()],
        "recommended_block_size": report.block_size,
        "cuts": [asdict(cut) for cut in found.cuts],
        "training": {
            "model": asdict(found.model),
            **asdict(speed),
            "seconds_1000_steps": 1000 / speed.docs_per_s,
            "seconds_all_docs": report.n_pieces(found.model.block_size) / speed.docs_per_s,
        },
    }
    if found.suitability:
        facts["suitability"] = asdict(found.suitability)
    return facts


def _plain(doc: Document) -> object:
    return doc if isinstance(doc, str) else [asdict(message) for message in doc]


def _cuts(report: DataReport, block_size: int) -> list[Cut]:
    """Return what lies beyond a context, and beyond others around the recommended one."""
    powers = [report.block_size * 2**i // 4 for i in range(5)]
    enough = next((size for size in powers if not report.cut(size).n_docs), powers[-1])
    sizes = {size for size in powers if 1 <= size <= enough} | {block_size}
    return [report.cut(size) for size in sorted(sizes)]


def _suitability(saved: SavedModel, report: DataReport, docs: Sequence[Document]) -> Suitability:
    not_known = frozenset(saved.tokenizer.unknown_characters("".join(report.char_counts)))
    counts = sorted(report.char_counts.items(), key=lambda item: -item[1])
    unknown = {char: n for char, n in counts if char in not_known}
    known = report.char_counts.keys() - not_known
    return Suitability(unknown, count_with_others(docs, known) if unknown else 0)


def measure_speed(
    docs: Sequence[Document], model: ModelConfig, tokenizer: Tokenizer
) -> TrainingSpeed:
    """Return how fast a model trains on documents, after 0.3 s of it; refuses without memory."""
    # More characters than can be learnt of a text would only take long to encode.
    most = model.block_size * max(map(len, tokenizer.piece_names))
    part = docs[:: max(1, len(docs) // N_DOCS)]
    sample = [doc[:most] if isinstance(doc, str) else doc for doc in part]
    # No end, nothing that could diverge, and a document a step.
    config = TrainConfig(steps=MAX_SIZE, lr=1e-6, long_docs="truncate")
    started, ended, n_steps = 0.0, 0.0, 0

    def is_over() -> bool:
        nonlocal started
        started = started or perf_counter()
        return n_steps > 0 and perf_counter() - started > PROBE_S

    def follow(event: TrainEvent) -> None:
        nonlocal ended, n_steps
        ended, n_steps = perf_counter(), event.step

    train(
        sample,
        model=model,
        config=config,
        tokenizer=tokenizer,
        on_event=follow,
        should_stop=is_over,
    )
    lengths = [min(tokenizer.count_tokens(doc) - 1, model.block_size) for doc in sample]
    docs_per_s = n_steps / (ended - started)
    return TrainingSpeed(docs_per_s, docs_per_s * sum(lengths) / len(lengths))
