"""genome.json: the winner of a search, what it is worth, and when a new one takes its place.

evolve-rust's keys come first, a line each, so that its programs can read ours; its own files, which
have no others, are read. Nothing in a file depends on time or place: the same search gives the same
bytes.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from microgpt.config import MAX_SEED
from microgpt.error_format import first_problem, newer_version
from microgpt.files.atomic_files import publish
from microgpt.files.regular_file import read_regular_file
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.genome import GENES, Genome
from microgpt_evolution.objectives.fitness import Fitness

FORMAT_VERSION = 1
MAX_BYTES = 2**20  # of a file; a real one has less than 1 kB
REQUIRED = (*GENES, "loss", "generation")
CONFLICT = re.compile(r"^(<{7}|={7}|>{7})( .*)?$", re.MULTILINE)  # what git merge leaves

ObjectiveName = Literal["loss", "aesthetic", "hydra"]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class GenomeRecord:
    """A genome, and how it was found."""

    genome: Genome
    loss: float  # of the last document of its training, whatever it was chosen by
    generation: int  # in which it was found, counted from 1
    evolved: bool = True  # true in all files that a search has written
    objective: ObjectiveName = "loss"
    head: str | None = None  # of the Hydra, if one was picked
    fitness: Fitness | None = None  # which loss was minimised; None where scores were maximised
    val_loss: float | None = None  # held out, in nats per token
    score: float | None = None  # of its samples, where scores were maximised
    seed: int | None = None  # of the search
    data_sha256: str | None = None  # see `microgpt.data.documents.fingerprint`


class _GenomeFile(BaseModel):
    """genome.json, its keys in order: those of evolve-rust, then those that may be absent."""

    model_config = ConfigDict(strict=True)

    n_emb: int
    n_ctx: int
    n_layer: int
    n_head: int
    n_ff_exp: int
    steps: int
    lr: _Finite
    loss: _Finite
    generation: Annotated[int, Field(ge=0)]
    evolved: bool = True
    version: Annotated[int, Field(ge=1)] = FORMAT_VERSION
    objective: ObjectiveName = "loss"
    head: str | None = None
    fitness: Fitness | None = None
    val_loss: _Finite | None = None
    score: _Finite | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    data_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None


def read_genome(path: str | Path) -> GenomeRecord:
    """Return what is in a genome.json; one of evolve-rust counts as chosen by its last document.

    Raises:
        GenomeError: it cannot be read, is no genome, or is one that cannot be trained; the message
            names the file and the place in it.
    """
    return decode_genome(read_content(path), Path(path))


def read_content(path: str | Path) -> bytes:
    """Return the content of a genome.json, damaged or not.

    Raises:
        GenomeError: it cannot be read, is not a regular file, or is too large.
    """
    try:
        return read_regular_file(path, MAX_BYTES)
    except OSError as error:
        raise GenomeError(f"cannot read {path}: {error.strerror}") from error


def decode_genome(content: bytes, path: Path) -> GenomeRecord:
    """Return what is in the content of a genome.json.

    Raises:
        GenomeError: as `read_genome` does.
    """
    text = _as_text(content, path)
    facts = _parse(text, path)
    if problem := newer_version(text, "version", FORMAT_VERSION):
        raise GenomeError(f"{path}: {problem}")
    if missing := [key for key in REQUIRED if key not in facts]:
        _refuse_incomplete(missing, path)
    try:
        file = _GenomeFile.model_validate(facts)
        genome = Genome(**{gene: getattr(file, gene) for gene in GENES})
    except ValidationError as error:
        raise GenomeError(f"{path}: {first_problem(error)}") from error
    except GenomeError as error:
        raise GenomeError(f"{path}: {error}") from error
    known = file.model_dump(exclude={*GENES, "version"})
    if file.objective == "loss":
        known["fitness"] = file.fitness or "last-doc"
    return GenomeRecord(genome=genome, **known)


def write_genome(path: str | Path, record: GenomeRecord) -> None:
    """Write a genome.json, whole or not at all; the same record gives the same bytes.

    Raises:
        CheckpointError: it cannot be written; what was there before still is.
    """
    path = Path(path)
    publish(path.parent, {path.name: encode_genome(record)})


def encode_genome(record: GenomeRecord) -> bytes:
    """Return the content of a genome.json."""
    known = asdict(record)
    file = _GenomeFile(**known.pop("genome"), **known)
    text = json.dumps(file.model_dump(exclude_none=True), indent=2)
    return f"{text}\n".encode()


def replaces(new: GenomeRecord, old: GenomeRecord) -> bool:
    """Return whether a new genome takes the place of an old one.

    It does if it is better, or if the two cannot be compared: where objective, head, fitness or
    data differ.
    """
    if _contest(new) != _contest(old):
        return True
    new_worth, old_worth = _worth(new), _worth(old)
    return old_worth is None or (new_worth is not None and new_worth > old_worth)


def _contest(record: GenomeRecord) -> tuple[str | None, ...]:
    return record.objective, record.head, record.fitness, record.data_sha256


def _worth(record: GenomeRecord) -> float | None:
    """Return what is the greater the better, if it is known."""
    if record.objective != "loss":
        return record.score
    loss = record.loss if record.fitness == "last-doc" else record.val_loss
    return None if loss is None else -loss


def _as_text(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise GenomeError(f"{path} is not UTF-8 text, so no genome; name another file") from error


def _parse(text: str, path: Path) -> dict[str, Any]:
    """Return the JSON object of a file, in which each key may be there once."""
    if conflict := CONFLICT.search(text):
        line = text.count("\n", 0, conflict.start()) + 1
        raise GenomeError(
            f"{path}, line {line}: an unfinished merge left {conflict[0]!r:.40} there; "
            "keep the lines of one genome"
        )
    try:
        facts = json.loads(text, object_pairs_hook=_once_each, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise GenomeError(f"{path}: invalid JSON: {error}") from error
    if not isinstance(facts, dict):
        raise GenomeError(f"{path} is no genome: it must be a JSON object")
    return facts


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for key, fact in pairs:
        if key in facts:  # two genomes mixed, of which the last would win line by line
            raise ValueError(f"{key!r:.40} is there twice")
        facts[key] = fact
    return facts


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _refuse_incomplete(missing: list[str], path: Path) -> NoReturn:
    if set(GENES) <= set(missing):
        raise GenomeError(f"{path} is no genome: it has none of {', '.join(GENES)}")
    raise GenomeError(f"{path} is no whole genome: it has no {', '.join(missing)}")
