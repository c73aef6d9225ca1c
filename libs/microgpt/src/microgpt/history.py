"""The course of a training: history.jsonl."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HistoryPoint:
    """The losses at a step."""

    step: int
    loss: float
    val_loss: float | None = None


HISTORY = "history.jsonl"


def as_lines(points):
    import json

    return b"".join(
        json.dumps(
            {"step": p.step, "loss": p.loss}
            | ({"val_loss": p.val_loss} if p.val_loss is not None else {})
        ).encode()
        + b"\n"
        for p in points
    )
