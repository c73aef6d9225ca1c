"""exam.json: the winner's measurements in the search and in the retest, and samples."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from microgpt.error_format import first_problem
from microgpt.files.atomic_files import publish
from microgpt.files.regular_file import read_regular_file
from microgpt_evolution.errors import RunError
from microgpt_evolution.objectives.retest import Retest
from microgpt_evolution.search.selection import Winner

EXAM = "exam.json"
VERSION = 1
MAX_BYTES = 2**24

_Number = Annotated[float, Field(ge=-1e100, le=1e100)]  # small enough that squares are finite


class Measures(BaseModel):
    """One measure: in the search, and with each fresh seed."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, frozen=True)

    found: _Number | None  # None if the search did not measure it
    again: tuple[_Number, ...]  # in the order of the seeds


class RetestFile(BaseModel):
    """The content of exam.json. Losses are in nats per token."""

    model_config = ConfigDict(strict=True, frozen=True)

    version: Annotated[int, Field(le=VERSION)] = VERSION
    id: str  # of the winner
    last_loss: Measures  # of the last training document
    val_loss: Measures  # on held-out documents; the search may have minimised it
    test_loss: Measures  # on documents that were not used for any choice
    scores: dict[str, Measures] = {}  # of the judge and each head, if names are scored
    names: tuple[str, ...]  # the first samples of the first retrained model


def write_retest(directory: Path, winner: Winner, tested: Retest, names: Sequence[str]) -> None:
    """Write exam.json into the directory of a run, atomically."""
    found = winner.found
    scores = found.scores.scores if found.scores else {}
    file = RetestFile(
        id=winner.organism.id,
        last_loss=Measures(found=found.last_loss, again=tested.last_losses),
        val_loss=Measures(found=found.val_loss, again=tested.val_losses),
        test_loss=Measures(found=None, again=tested.test_losses),
        scores={
            name: Measures(found=score, again=tuple(s.scores[name] for s in tested.scores))
            for name, score in scores.items()
        },
        names=tuple(names),
    )
    publish(directory, {EXAM: f"{file.model_dump_json(indent=2)}\n".encode()})


def read_retest(directory: Path) -> RetestFile | None:
    """Read exam.json; return None if it does not exist, and raise RunError if it is damaged."""
    path = directory / EXAM
    try:
        return RetestFile.model_validate_json(read_regular_file(path, MAX_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        raise RunError(f"{path}: {first_problem(error)}") from error
