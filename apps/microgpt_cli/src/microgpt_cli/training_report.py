"""What `microgpt train` tells of a training that has ended."""

import shlex
from dataclasses import asdict
from pathlib import Path

from microgpt.evaluation import bits
from microgpt.memorisation import Memorisation
from microgpt.model import count_params
from microgpt.state import TrainResult
from microgpt_cli.options import DEFAULT_MODEL_DIR
from microgpt_cli.progress import step_line
from microgpt_cli.streams import note


def print_losses(result: TrainResult) -> None:
    """Print the last step, and what was measured on documents that were held out."""
    state, config = result.state, result.config
    print(step_line(state.step, config.steps, state.recent_losses[-1]))
    if state.best:
        loss = state.best.val_loss
        print(
            f"held-out loss {loss:.4f} nats a character ({bits(loss):.4f} bits), "
            f"the best, after step {state.best.step}"
        )
    if result.test_loss is not None:
        loss = result.test_loss
        print(f"test loss     {loss:.4f} nats a character ({bits(loss):.4f} bits)")


def tell_what_is_known(memorised: Memorisation) -> None:
    """Say how many samples are in the training data, and what comes nearest to the others."""
    line = f"{memorised.n_known} of {memorised.n_samples} samples are in the training data"
    if memorised.novel:
        pairs = (f"{sample.text} ({sample.document})" for sample in memorised.novel)
        line += f"; the others, and what comes nearest to them there: {', '.join(pairs)}"
    note(line)


def tell_what_next(output: Path, *, chat: bool) -> None:
    """Say where the model is and what can be done with it."""
    where = "" if output == DEFAULT_MODEL_DIR else f" --model-dir {shlex.quote(str(output))}"
    note(f"the model is in {output}; try: microgpt {'chat' if chat else 'generate'}{where}")


def summary(
    result: TrainResult, samples: list[str], memorised: Memorisation | None, output: Path
) -> dict[str, object]:
    """Return what `--json` prints."""
    best = result.state.best
    facts = {
        "num_docs": result.data.n_docs,
        "vocab_size": result.model.vocab_size,
        "num_params": count_params(result.model),
        "steps": result.state.step,
        "loss": result.state.recent_losses[-1],
        "val_loss": result.val_loss,
        "best_step": best.step if best else None,
        "test_loss": result.test_loss,
        "seconds": round(result.seconds, 3),
        "samples": samples,
        "memorised": asdict(memorised) if memorised else None,
        "output": str(output),
    }
    return {name: fact for name, fact in facts.items() if fact is not None}
