"""genome.json: the winner of a search, what it is worth, and when a new one takes its place.

evolve-rust's keys come first, one per line, and its own files, which have no others, can be read.
The same search gives the same bytes.
"""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from microgpt.config import MAX_SEED
from microgpt.error_format import first_problem, newer_version
from microgpt.files.atomic_files import publish
from microgpt.files.regular_file import read_regular_file
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.genome import GENES, Genome
from microgpt_evolution.objectives.fitness import Fitness

FORMAT_VERSION = 1
MAX_BYTES = 2**20  # a real file has less than 1 kB
CONFLICT = re.compile(r"^(<{7}|={7}|>{7})( .*)?$", re.MULTILINE)  # what git merge leaves

ObjectiveName = Literal["loss", "aesthetic", "hydra"]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(strict=True))
class GenomeRecord:
    """A genome and how it was found: genome.json, its keys in order."""

    n_emb: int
    n_ctx: int
    n_layer: int
    n_head: int
    n_ff_exp: int
    steps: int
    lr: _Finite
    loss: _Finite  # of the last training document, whatever the genome was chosen by
    generation: Annotated[int, Field(ge=0)]  # in which it was found, counted from 1
    evolved: bool = True  # true in all files that a search has written
    version: Annotated[int, Field(ge=1)] = FORMAT_VERSION
    objective: ObjectiveName = "loss"
    head: str | None = None  # of the Hydra, if one was picked
    fitness: Fitness | None = None  # which loss was minimised; None where scores were maximised
    val_loss: _Finite | None = None  # held out, in nats per token
    score: _Finite | None = None  # of its samples, where scores were maximised
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None  # of the search
    data_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None  # of the documents

    @property
    def genome(self) -> Genome:
        """The genome; raises GenomeError if it cannot be trained."""
        return Genome(**{gene: getattr(self, gene) for gene in GENES})


def read_genome(path: str | Path) -> GenomeRecord:
    """Return what is in a genome.json; the fitness of evolve-rust's files is last-doc.

    Raises:
        GenomeError: it cannot be read, is no genome, or is one that cannot be trained.
    """
    return decode_genome(read_content(path), Path(path))


def read_content(path: str | Path) -> bytes:
    """Return the bytes of a genome.json; raise GenomeError if it cannot be read."""
    try:
        return read_regular_file(path, MAX_BYTES)
    except OSError as error:
        raise GenomeError(f"cannot read {path}: {error.strerror}") from error


def decode_genome(content: bytes, path: Path) -> GenomeRecord:
    """Return what is in the bytes of a genome.json; see `read_genome`."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise GenomeError(f"{path} is not UTF-8 text, so no genome; name another file") from error
    facts = _parse(text, path)
    if problem := newer_version(text, "version", FORMAT_VERSION):
        raise GenomeError(f"{path}: {problem}")
    if facts.keys().isdisjoint(GENES):
        raise GenomeError(f"{path} is no genome: it has none of {', '.join(GENES)}")
    if missing := [key for key in (*GENES, "loss", "generation") if key not in facts]:
        raise GenomeError(f"{path} is no whole genome: it has no {', '.join(missing)}")
    if facts.get("objective", "loss") == "loss" and facts.get("fitness") is None:
        facts["fitness"] = "last-doc"  # as evolve-rust
    try:
        record = GenomeRecord(**facts)
        _ = record.genome  # raises GenomeError
    except ValidationError as error:
        raise GenomeError(f"{path}: {first_problem(error)}") from error
    except GenomeError as error:
        raise GenomeError(f"{path}: {error}") from error
    return record


def write_genome(path: str | Path, record: GenomeRecord) -> None:
    """Write a genome.json, whole or not at all; the same record gives the same bytes.

    Raises:
        CheckpointError: it cannot be written; what was there before still is.
    """
    path = Path(path)
    publish(path.parent, {path.name: encode_genome(record)})


def encode_genome(record: GenomeRecord) -> bytes:
    """Return the content of a genome.json."""
    facts = {name: fact for name, fact in asdict(record).items() if fact is not None}
    return f"{json.dumps(facts, indent=2)}\n".encode()


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
