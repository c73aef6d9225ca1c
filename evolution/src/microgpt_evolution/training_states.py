"""States of training runs in the directory of a study, from which they go on.

.organisms/g1-3/   state of an organism that may be trained further or that is needed at the end
"""

import shutil
from pathlib import Path

from microgpt import (
    CheckpointError,
    TrainingPlan,
    TrainState,
    encode_state,
    publish,
    read_training,
)

ORGANISMS = ".organisms"


def keep(study: Path, id: str, plan: TrainingPlan, state: TrainState) -> None:
    """Write the state of a training run; raise CheckpointError on failure."""
    publish(study / ORGANISMS / id, encode_state(plan, state, "running"))


def kept(study: Path, id: str) -> tuple[TrainingPlan, TrainState] | None:
    """Return the plan and the state of a training run, or None if there are none."""
    try:
        plan, state, _ = read_training(study / ORGANISMS / id)
    except CheckpointError:
        return None
    return plan, state


def forget(study: Path, id: str) -> None:
    """Remove the state of an organism that will not be trained further."""
    shutil.rmtree(study / ORGANISMS / id, ignore_errors=True)
