"""The loss on the data of the parent before and after fine-tuning."""

from pathlib import Path

from microgpt.data.tokenizer import count_characters
from microgpt.errors import MicrogptError
from microgpt.inference import InferenceGpt
from microgpt.state import TrainedModel, TrainResult
from microgpt.storage.training_directory import read_training
from microgpt.training.choice import HELD_OUT
from microgpt_cli.training.recorded_runs import recorded_documents


def forgetting(
    parent: TrainedModel | None, directory: Path | None, child: TrainResult
) -> dict[str, float] | None:
    """Return the losses on about 40,000 characters of the parent's data, if other and at hand."""
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
    every = max(1, sum(map(count_characters, docs)) // HELD_OUT)
    docs = [doc[: len(doc) // every] for doc in docs] if text == "stream" else docs[::every]
    before, after = (InferenceGpt(each).evaluate(docs, text=text).loss for each in (parent, child))
    return {"before": before, "after": after, "held_out": bool(held_out)}
