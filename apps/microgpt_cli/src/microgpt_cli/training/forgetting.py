"""The loss on the data of the parent before and after fine-tuning."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from microgpt import (
    MAX_HELD_OUT,
    Bounds,
    Document,
    DocumentHashes,
    InferenceGpt,
    MicrogptError,
    Split,
    TextKind,
    TrainedModel,
    TrainResult,
    contamination,
    count_characters,
    folded,
    read_training,
    repeated_share,
)
from microgpt_cli.training.recorded_runs import recorded_documents


class Forgetting(NamedTuple):
    """The losses on data of the parent, in nats per token."""

    before: float  # of the parent
    after: float  # of its child
    held_out: bool  # whether the parent held out these data; else, they are its training data
    contamination: Bounds  # share that the child, the parent or an ancestor was trained on

    def line(self) -> str:
        """Return the line that reports the losses."""
        kind = "held-out" if self.held_out else "training"
        mark = self.contamination if self.held_out else ""
        losses = f"{self.before:.4f} before, {self.after:.4f} after tuning"
        return f"parent's {kind} data {losses}{mark}"


def forgetting(
    parent: TrainedModel | None, directory: Path | None, child: TrainResult, of_child: Split
) -> Forgetting | None:
    """Return the losses on a part of the parent's data; None if the data are the same or not found.

    Args:
        of_child: the data of the child, which was trained on the training set and whose weights
            were chosen by the validation set.
    """
    if not parent or not directory or child.plan.engine == "reference":  # which is too slow
        return None
    try:
        plan, *_ = read_training(directory)
        is_same = child.data.sha256 == plan.data.sha256
        if not plan.input or parent.trained_on[0] != plan.data or is_same:
            return None
        _, parts = recorded_documents(plan, None)
    except MicrogptError:
        return None
    held_out, text = parts.test or parts.validation, plan.config.text
    docs = held_out or parts.train
    every = max(1, sum(map(count_characters, docs)) // MAX_HELD_OUT)
    docs = [doc[: len(doc) // every] for doc in docs] if text == "stream" else docs[::every]
    before, after = (InferenceGpt(each).evaluate(docs, text=text).loss for each in (parent, child))
    read, ancestors = [*child.documents, *of_child.validation], child.plan.ancestor_data
    share = _share_read(docs, read, child, text)
    by_ancestors = contamination(parts, ancestors, child.tokenizer)
    low, high = by_ancestors.get("test" if parts.test else "validation", (0.0, 0.0))
    if share and text == "stream":  # pieces are found only if they are whole
        high = 1.0
    bounds = Bounds(max(low, share), min(1.0, high + share))
    return Forgetting(before, after, bool(held_out), bounds)


def _share_read(
    docs: Sequence[Document], read: Sequence[Document], child: TrainResult, text: TextKind
) -> float:
    """Return the share of documents, or of pieces of running text, that a child has read."""
    if text == "stream":
        return repeated_share(docs, read)
    if child.tokenizer.folds:
        read, docs = [*map(folded, read)], [*map(folded, docs)]
    if child.config.text == "stream":
        lines = "\n".join(["", *(doc for doc in read if isinstance(doc, str)), ""])
        return sum(f"\n{doc}\n" in lines for doc in docs) / len(docs)
    known = DocumentHashes.of(read)
    return sum(doc in known for doc in docs) / len(docs)
