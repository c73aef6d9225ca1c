"""The result of a training in a sweep: a line of its evaluations.jsonl."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from microgpt.error_format import first_problem
from microgpt.errors import ConfigError
from microgpt_evolution.errors import RunError
from microgpt_evolution.population import Status
from microgpt_evolution.runs.evaluation_record import REMEDY
from microgpt_evolution.sweep.config import SweepConfig

# Far beyond any training, but sums and squares of these are still finite.
_Count = Annotated[int, Field(ge=1, le=10**30)]
_Loss = Annotated[float, Field(ge=0, le=1e100)]
_Seconds = Annotated[float, Field(ge=0, le=1e15)]


class SweepResult(BaseModel):
    """The result of a training. Losses are in nats per token, and None unless status is ok."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    point: SweepConfig
    seed: int
    status: Status
    reason: str | None = None  # what went wrong, in a line
    n_params: _Count
    flops: _Count
    val_loss: _Loss | None = None  # held out, with the final weights
    last_loss: _Loss | None = None  # of the last step, with batch_size 1 the last document
    train_loss: _Loss | None = None  # the mean of the last 100 steps
    samples: tuple[str, ...] = ()
    seconds: _Seconds = 0.0  # of the training alone
    cpu_seconds: _Seconds = 0.0

    @model_validator(mode="after")
    def _has_losses(self) -> Self:
        """Refuse a finished training without losses."""
        if self.is_ok and None in (self.val_loss, self.last_loss, self.train_loss):
            raise ConfigError("status is ok, but a loss is missing")
        return self

    @property
    def is_ok(self) -> bool:
        """Whether it finished with finite losses."""
        return self.status == "ok"

    @property
    def is_final(self) -> bool:
        """Whether it would be the same on any machine."""
        return self.status in ("ok", "diverged")


def encode(result: SweepResult) -> bytes:
    """Return a line."""
    return result.model_dump_json().encode() + b"\n"


def decode(line: bytes, where: str) -> SweepResult:
    """Return the result in a line; raise RunError, with where it stands, if it is damaged."""
    try:
        return SweepResult.model_validate_json(line)
    except ValidationError as error:
        raise RunError(f"{where}: {first_problem(error)}; {REMEDY}") from error
    except ConfigError as error:
        raise RunError(f"{where}: {error}; {REMEDY}") from error
