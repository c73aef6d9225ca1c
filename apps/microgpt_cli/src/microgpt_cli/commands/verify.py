"""`microgpt verify`: check the gradients and the engines, or an exported model."""

from pathlib import Path
from typing import get_args

import typer

from microgpt.config import DType, EngineName
from microgpt.errors import ConfigError
from microgpt_cli.terminal.console import print_or_discard, say
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import argument, option
from microgpt_cli.terminal.progress import TrainingProgress, load_kernels

WIDTH = 32  # characters of a text in the table


@examples(
    "microgpt verify --steps 1000",
    "microgpt verify names.onnx",
)
def verify(
    file: Path | None = argument(
        None, "ONNX file, GGUF file or directory that `microgpt export` has written.", "PATH"
    ),
    steps: int | None = option(
        None,
        "Number of steps of Karpathy's run to replay, at most 1000.  "
        "[default: 1000; reference: 20]",
    ),
    engine: EngineName | None = option(None, "Engine to check.  [default: compiled and reference]"),
) -> None:
    """Check the gradients of the engines, or an exported model.

    Compare the reference engine's gradients with finite differences, the compiled engine's loss and
    gradients with the reference engine, and the losses of both engines with Karpathy's run. With
    --steps 1000, the reference engine takes about 15 seconds.

    With a PATH, run the exported model in onnxruntime, llama.cpp or transformers instead, and
    compare its log-probabilities with those that microgpt recorded in its receipt.
    """
    if file is not None:
        if steps is not None or engine is not None:
            raise ConfigError("--steps and --engine cannot be used with a PATH; omit them")
        passed = verify_file(file)
    else:
        passed = verify_engines(steps, engine)
    if not passed:
        raise typer.Exit(1)


def verify_engines(steps: int | None, engine: EngineName | None) -> bool:
    """Print the outcome of each check of the engines; return whether all have passed."""
    from microgpt.config import Use
    from microgpt.training.engines import problem_of
    from microgpt_cli.verify.checks import KARPATHY, run_checks

    if engine != "reference" and not problem_of("compiled"):
        uses: list[Use] = ["training", "decoding"]
        load_kernels("compiled", *get_args(DType), uses=uses)
    failed = 0
    with TrainingProgress(KARPATHY.steps) as progress:
        for check in run_checks(steps=steps, engine=engine, on_event=progress.update):
            progress.restart()
            print(f"{'ok  ' if check.passed else 'FAIL'} {check.name}: {check.outcome}", flush=True)
            failed += not check.passed
    if failed:
        say(f"error: failed checks: {failed}")
    return not failed


def verify_file(file: Path) -> bool:
    """Print how the results of a model differ from its receipt; return whether it passes."""
    from microgpt.printable import printable
    from microgpt_exports.comparison import MOST, MOST_BITS, compare
    from microgpt_exports.formats import open_export

    receipt, runtime = open_export(file)
    found = compare(receipt, runtime)
    lines = [f"{'text':<{WIDTH}}  {'receipt':>10}  {'here':>10}  {'largest difference':>18}"]
    for each in found.texts:
        text = f"{printable(each.text.text, WIDTH - 1):<{WIDTH}}"
        numbers = f"{each.text.total:>10.4f}  {each.total:>10.4f}  {each.difference:>18.1e}"
        lines.append(f"{text}  {numbers}")
    for expected, n_equal in zip(receipt.continuations, found.n_equal, strict=True):
        kind, n = "seeded" if expected.temperature else "greedy", len(expected.tokens)
        outcome = "equal" if n_equal == n else f"token {n_equal} differs"
        lines.append(f"{kind} continuation: {outcome} ({n - 1} tokens)")
    if receipt.quantization:
        cost = f"{found.cost:.4f} bits per token (at most {MOST_BITS})"
        lines.append(f"cost of {receipt.quantization}: {cost}")
    lines.append(f"largest difference: {found.largest:.1e} nats (at most {MOST:g})")
    print_or_discard("\n".join(lines))
    if not found.passes(receipt):
        say(f"error: {file} does not compute what its receipt says")
    return found.passes(receipt)
