"""Read and write genome.json, which stores the winner of a search.

A file of version 1 begins with the keys of evolve-rust's files. Files of evolve-rust, which contain
only these keys, can also be read. A file of version 4 is from a search with a budget.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import from_json

from microgpt import MAX_SEED, TextKind, mark, other_version, publish, read
from microgpt_evolution.evolution_errors import GenomeError, raised_as
from microgpt_evolution.genome import BUDGETED_GENES, GENES, values_of
from microgpt_evolution.objectives import Fitness, ObjectiveName
from microgpt_evolution.trial import EVALUATIONS, Genes, Stored

GENOME = "genome.json"
VERSION: Literal[1] = 1
BUDGETED_VERSION: Literal[4] = 4  # versions 2 and 3 had different genes, and cannot be read
MAX_BYTES = 2**20  # maximum size of a file; typical files are smaller than 1 kB
RUST_KEYS = ("n_emb", "n_ctx", *GENES[2:])  # keys of GENES in files of version 1, as in evolve-rust
REQUIRED = {  # keys that a file must contain besides the genes, by version
    VERSION: ("loss", "generation"),
    BUDGETED_VERSION: ("operations", "budget", "val_loss", "generation", "text", "data_sha256"),
}

Operations = Annotated[float, Field(gt=0)]


class GenomeRecord(Stored):
    """The content of genome.json; the fields are in the order of the keys in the file."""

    genome: Genes
    loss: float | None = None  # loss on the last training document; None in version 4
    generation: Annotated[int, Field(ge=0)]  # generation of the winner, counted from 1
    evolved: bool = True  # a key of evolve-rust, true in every file that a search writes
    version: Literal[1, 4] = 1
    objective: ObjectiveName = "loss"
    head: str | None = None  # Hydra head whose champion won; None if no head was requested
    fitness: Fitness | None = None  # the loss that was minimized; None if a score was maximized
    operations: Operations | None = None  # operations per training run; only in version 4
    budget: Operations | None = None  # the search's budget in operations; only in version 4
    text: TextKind | None = None  # lines or running text; only in version 4
    gap: Annotated[int, Field(ge=0)] | None = None  # unused characters around held-out passages
    val_loss: float | None = None  # held-out loss per token; in version 4, per character
    contamination: float | None = None  # fraction of the held-out documents used in training
    score: float | None = None  # mean score of the samples; None if a loss was minimized
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None  # seed of the search
    data_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None  # hash of documents

    @property
    def is_budgeted(self) -> bool:
        """Whether the search had a budget."""
        return self.version == BUDGETED_VERSION


def read_genome(path: str | Path) -> GenomeRecord:
    """Read a genome.json file; raise GenomeError if it is unreadable or invalid."""
    content = read(path, MAX_BYTES, GenomeError)
    with raised_as(GenomeError, path, form="JSON"):
        text = content.decode("utf-8-sig")
        facts = from_json(text)  # unlike json.loads, this refuses lone surrogates
        if not isinstance(facts, dict):
            raise GenomeError("it is not a genome, because it is not a JSON object")
        if problem := other_version(text, "version", VERSION, BUDGETED_VERSION):
            raise GenomeError(problem)
        return _record(facts)


def _record(facts: dict[str, Any]) -> GenomeRecord:
    """Return the record of a parsed genome.json of version 1 or 4."""
    facts["version"] = version = facts.get("version") or VERSION
    names, keys, genes = BUDGETED_GENES, BUDGETED_GENES, facts.get("genome")
    if version == VERSION:
        names, keys, genes = GENES, RUST_KEYS, facts
        if facts.get("objective", "loss") == "loss":  # evolve-rust knows only the fitness last-doc
            facts["fitness"] = facts.get("fitness") or "last-doc"
    genes = genes if isinstance(genes, dict) else {}
    missing = [key for key in keys if key not in genes]
    missing += [key for key in REQUIRED[version] if facts.get(key) is None]
    if missing:
        raise GenomeError(f"it is not a genome, because it lacks {', '.join(missing)}")
    genome = {name: genes[key] for name, key in zip(names, keys, strict=True)}
    if genome.get("vocab_size", 0) is None:  # null stands for a vocabulary of characters
        del genome["vocab_size"]
    return GenomeRecord.model_validate_json(json.dumps({**facts, "genome": genome}))


def recipe(path: Path) -> dict[str, object]:
    """Return the options of `microgpt train` that a genome.json sets."""
    record = read_genome(path)
    if not record.is_budgeted:
        return values_of(record.genome, (*GENES, "architecture"))
    return {
        **values_of(record.genome, BUDGETED_GENES),
        "vocab_size": record.genome.vocab_size or None,
        "gap": record.gap,
        "tokenizer": "bpe" if record.genome.vocab_size else "char",
        "budget": record.operations,
        "evaluations": EVALUATIONS,
    }


def write_genome(path: str | Path, record: GenomeRecord) -> None:
    """Write a genome.json file atomically; raise CheckpointError if it cannot be written."""
    path = Path(path)
    publish(path.parent, {path.name: encode_genome(record)})


def encode_genome(record: GenomeRecord) -> bytes:
    """Encode a record as genome.json."""
    if record.is_budgeted:
        genes = values_of(record.genome, BUDGETED_GENES)
        genes = {"genome": genes | {"vocab_size": genes["vocab_size"] or None}}
    else:
        genes = dict(zip(RUST_KEYS, values_of(record.genome, GENES).values(), strict=True))
    facts = genes | record.model_dump(exclude_none=True, exclude={"genome"})
    return f"{json.dumps(facts, indent=2)}\n".encode()


def score_of(record: GenomeRecord) -> str:
    """Format the first of these that a genome has: score, held-out loss, last-document loss."""
    if record.score is not None:
        return f"score {record.score:.4f}"
    loss, what = record.val_loss, "held-out"
    if loss is None:
        loss, what = record.loss, "last-document"
    per = " per character" if record.is_budgeted else ""
    return f"{what} loss {loss:.4f}{per}{mark(record.contamination or 0.0)}"
