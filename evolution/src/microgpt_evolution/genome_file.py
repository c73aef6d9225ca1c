"""Read and write genome.json, which stores the winner of a search.

Version 1 has evolve-rust's keys, which come first, one per line. Files written by evolve-rust,
which have only these keys, can also be read. Version 2 is the winner of a search with a budget.
Repeating a search writes the same bytes.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from microgpt import MAX_SEED, TextKind, first_problem, other_version, publish, read
from microgpt_evolution.budgeted.genome import EVALUATIONS, BudgetedGenome
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.genome import GENES, Genome
from microgpt_evolution.objectives.fitness import Fitness

GENOME = "genome.json"
FORMAT_VERSION: Final = 1  # genomes with evolve-rust's genes have it
BUDGETED_VERSION: Final = 2
MAX_BYTES = 2**20  # typical files are smaller than 1 kB

ObjectiveName = Literal["loss", "aesthetic", "hydra"]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(strict=True))
class GenomeRecord:
    """The content of genome.json; the fields are in the order of the keys in the file."""

    n_emb: int
    n_ctx: int
    n_layer: int
    n_head: int
    n_ff_exp: int
    steps: int
    lr: _Finite
    loss: _Finite  # loss on the last training document; set for every objective
    generation: Annotated[int, Field(ge=0)]  # generation of the winner, counted from 1
    evolved: bool = True  # true in all files written by a search
    version: Literal[1] = FORMAT_VERSION
    objective: ObjectiveName = "loss"
    head: str | None = None  # Hydra head whose champion won; None if no head was requested
    fitness: Fitness | None = None  # the loss that was minimised; None if a score was maximised
    val_loss: _Finite | None = None  # held-out loss in nats per token
    score: _Finite | None = None  # mean score of the samples; None if a loss was minimised
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None  # seed of the search
    data_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None  # document checksum

    @property
    def genome(self) -> Genome:
        """The genome of the winner; raises GenomeError if a gene is out of range."""
        return Genome(**{gene: getattr(self, gene) for gene in GENES})


@dataclass(frozen=True, kw_only=True, config=ConfigDict(strict=True))
class BudgetedRecord:
    """The content of a genome.json of version 2: the winner of a search with a budget."""

    genome: BudgetedGenome
    operations: Annotated[float, Field(gt=0, allow_inf_nan=False)]  # of its training run
    val_loss: _Finite  # validation loss in nats per character
    generation: Annotated[int, Field(ge=1)]
    text: TextKind
    version: Literal[2] = BUDGETED_VERSION
    budget: Annotated[float, Field(gt=0, allow_inf_nan=False)]  # operations of the search
    gap: Annotated[int, Field(ge=0)] | None = None  # of the split of running text
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)]  # seed of the search
    data_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


AnyRecord = GenomeRecord | BudgetedRecord
R = TypeVar("R", GenomeRecord, BudgetedRecord)


def read_genome(path: str | Path) -> AnyRecord:
    """Read a genome.json file; the fitness of files from evolve-rust is "last-doc".

    Raises:
        GenomeError: the file cannot be read, is not a genome, or has a gene out of range.
    """
    try:
        text = read(path, MAX_BYTES, GenomeError).decode("utf-8-sig")
        facts = json.loads(text)
    except UnicodeDecodeError as error:
        raise GenomeError(
            f"{path} is not a genome: it is not UTF-8 text; use another file"
        ) from error
    except (ValueError, RecursionError) as error:
        raise GenomeError(f"{path}: invalid JSON: {error}") from error
    if not isinstance(facts, dict):
        raise GenomeError(f"{path} is not a genome: it must be a JSON object")
    if problem := other_version(text, "version", FORMAT_VERSION, BUDGETED_VERSION):
        raise GenomeError(f"{path}: {problem}")
    is_budgeted = facts.get("version") == BUDGETED_VERSION
    if not is_budgeted:
        if facts.keys().isdisjoint(GENES):
            raise GenomeError(f"{path} is not a genome: it has none of the keys {', '.join(GENES)}")
        if missing := [key for key in (*GENES, "loss", "generation") if key not in facts]:
            raise GenomeError(f"{path} is not a complete genome: it lacks {', '.join(missing)}")
        if facts.get("objective", "loss") == "loss" and facts.get("fitness") is None:
            facts["fitness"] = "last-doc"  # files from evolve-rust do not name the fitness
    kind: type[AnyRecord] = BudgetedRecord if is_budgeted else GenomeRecord
    try:
        record = TypeAdapter(kind).validate_json(json.dumps(facts))
        _ = record.genome  # raises GenomeError if a gene is out of range
    except (ValidationError, GenomeError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise GenomeError(f"{path}: {problem}") from error
    return record


def read_genome_of(kind: type[R], path: Path, remedy: str) -> R:
    """Read a genome.json of one kind of search; raise GenomeError with the remedy otherwise."""
    record = read_genome(path)
    if isinstance(record, kind):
        return record
    other = "with" if isinstance(record, BudgetedRecord) else "without"
    raise GenomeError(f"{path} is from a search {other} a budget; {remedy}")


def recipe(path: Path) -> dict[str, object]:
    """Return the options of `microgpt train` that a genome.json sets.

    As in the search, a budget does not include the evaluations of a training run.
    """
    record = read_genome(path)
    if isinstance(record, GenomeRecord):
        genome = record.genome
        return {**vars(genome.model()), "steps": genome.steps, "lr": genome.lr, "vocab_size": None}
    return {
        **asdict(record.genome),
        "gap": record.gap,
        "tokenizer": "bpe" if record.genome.vocab_size else "char",
        "budget": record.operations,
        "evaluations": EVALUATIONS,
    }


def write_genome(path: str | Path, record: AnyRecord) -> None:
    """Atomically write a genome.json file; equal records produce equal bytes.

    Raises:
        CheckpointError: the file cannot be written. An existing file is left unchanged.
    """
    path = Path(path)
    publish(path.parent, {path.name: encode_genome(record)})


def encode_genome(record: AnyRecord) -> bytes:
    """Encode a record as genome.json."""
    facts = {name: fact for name, fact in asdict(record).items() if fact is not None}
    return f"{json.dumps(facts, indent=2)}\n".encode()


def score_of(record: AnyRecord) -> str:
    """Return the score of a genome, else its held-out loss, else its last-document loss."""
    if isinstance(record, BudgetedRecord):
        return f"held-out loss {record.val_loss:.4f} per character"
    if record.score is not None:
        return f"score {record.score:.4f}"
    loss, what = record.val_loss, "held-out"
    if loss is None:
        loss, what = record.loss, "last-document"
    return f"{what} loss {loss:.4f}"


def replaces(new: AnyRecord, old: AnyRecord) -> bool:
    """Return whether a new genome should replace an old one.

    True if the new genome is better, or if the two cannot be compared: their objective, head,
    fitness or data differ, or the old value is unknown.
    """
    if _contest(new) != _contest(old):
        return True
    new_worth, old_worth = _worth(new), _worth(old)
    return old_worth is None or (new_worth is not None and new_worth > old_worth)


def _contest(record: AnyRecord) -> tuple[str | None, ...]:
    if isinstance(record, BudgetedRecord):
        return "budget", record.data_sha256
    return record.objective, record.head, record.fitness, record.data_sha256


def _worth(record: AnyRecord) -> float | None:
    """Return the value of a record that is to be maximised, or None if it is unknown."""
    if isinstance(record, BudgetedRecord):
        return -record.val_loss
    if record.objective != "loss":
        return record.score
    loss = record.loss if record.fitness == "last-doc" else record.val_loss
    if record.fitness == "own":  # of another function, perhaps
        loss = None
    return None if loss is None else -loss
