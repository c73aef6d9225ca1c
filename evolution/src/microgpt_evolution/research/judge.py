"""The judge trains experiment.py in a sandbox, and scores its model on held-out documents."""

import ast
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

from microgpt import (
    Document,
    EvaluationSet,
    InferenceGpt,
    MicrogptError,
    SavedModel,
    TrainConfig,
    count_params,
    fingerprint,
    in_short,
    load,
    measure,
    printable,
    step_operations,
)
from microgpt_evolution.evolution_errors import StudyError
from microgpt_evolution.research import sandbox
from microgpt_evolution.trial import Evaluation

IMPORTS = (
    *("microgpt", "numpy", "math", "random", "statistics", "dataclasses", "functools"),
    *("itertools", "collections", "typing"),
)
WORDS = ("open", "exec", "eval", "compile", "setattr", "delattr", "globals", "vars", "__import__")
ENVIRONMENT = ("PATH", "HOME", "LANG", "TMPDIR", "NUMBA_CACHE_DIR", "NUMBA_CPU_NAME")
TOLERANCE = 1.001  # of the operations
N_CHARACTERS = 200  # maximum length of a problem


class ExperimentError(StudyError):
    """An experiment has no result."""


class Measured(NamedTuple):
    """The measurements of a training run."""

    evaluation: Evaluation
    operations: float = 0.0  # 0 if the experiment has a training loop of its own
    n_params: int = 0


def check_code(code: str) -> None:
    """Raise ExperimentError if a program touches data, split or judge; it is read, not run."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise ExperimentError(f"line {line}: {getattr(error, 'msg', error)}") from error
    aliases = [each for each in ast.walk(tree) if isinstance(each, ast.alias)]
    imported = {each.asname or each.name.partition(".")[0] for each in aliases}
    for node in ast.walk(tree):
        if problem := _problem(node, imported):
            raise ExperimentError(f"line {getattr(node, 'lineno', 1)}: it {problem}")
    if not any(isinstance(n, ast.FunctionDef) and n.name == "experiment" for n in tree.body):
        raise ExperimentError("it lacks the function experiment(docs, seed, operations)")


def _problem(node: ast.AST, imported: set[str]) -> str:
    """Return what an experiment may not do, if this node does it."""
    match node:
        case ast.Import() | ast.ImportFrom():
            names = [each.name for each in node.names]
            modules = names if isinstance(node, ast.Import) else [node.module or "."]
            if wrong := [each for each in modules if each.partition(".")[0] not in IMPORTS]:
                return f"imports {wrong[0]}; an experiment may import {', '.join(IMPORTS)}"
        case ast.Name(id=word) if word in WORDS:
            return f"uses {word}, which an experiment does not need"
        case ast.Attribute(attr=word) if word.startswith("__") and word != "__init__":
            return f"uses {word}, which an experiment does not need"
        case ast.Attribute(ctx=ast.Store() | ast.Del()):
            if (name := ast.unparse(node)).partition(".")[0] in imported:
                return f"replaces {name}; change what experiment.py itself defines"
    return ""


class Judge(AbstractContextManager["Judge"]):
    """Trains experiments and scores their models."""

    def __init__(
        self,
        train: Sequence[Document],
        parts: Mapping[str, Sequence[Document]],
        operations: float,
        seconds: float,
    ) -> None:
        """Start the sandbox, which gets the training documents only.

        Args:
            parts: the held-out documents, by the name of their part.
            operations: maximum operations of a training run.
            seconds: time limit of a training run.
        """
        if not hasattr(os, "fork"):
            raise StudyError("research needs fork, which Windows lacks; run it on Linux or macOS")
        self._train, self._parts, self._seconds = tuple(train), parts, seconds
        self._operations = operations
        self._known: dict[object, Any] = {}  # sizes of the training set, and evaluation sets
        self._folder, self._n_runs = Path(mkdtemp()).resolve(), 0
        self._process = subprocess.Popen(
            [sys.executable, "-I", sandbox.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
            cwd=self._folder,
            text=True,
            start_new_session=True,  # Ctrl-C is for the judge
        )
        self._send(docs=self._train, seconds=seconds)

    def __exit__(self, *_: object) -> None:
        """End the sandbox and remove its directory."""
        with suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(BrokenPipeError):
            self._process.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)

    def measure(self, code: str, seed: int, part: str) -> Measured:
        """Train a program with a seed, and score its model on a part of the documents."""
        self._n_runs += 1
        folder = self._folder / str(self._n_runs)
        try:
            check_code(code)
            folder.mkdir()
            operations = self._operations
            self._send(directory=str(folder), code=code, seed=seed, operations=operations)
            assert self._process.stdout
            if not (answer := self._process.stdout.readline()):
                raise StudyError("the sandbox has ended; run `microgpt research try` again")
            return self._score(folder, json.loads(answer), seed, part)
        except ExperimentError as error:
            reason = printable(" ".join(str(error).split()), N_CHARACTERS)
            return Measured(Evaluation("crashed", reason=reason))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _send(self, **facts: object) -> None:
        assert self._process.stdin
        with suppress(BrokenPipeError):  # `measure` notices that the sandbox has ended
            self._process.stdin.write(f"{json.dumps(facts)}\n")
            self._process.stdin.flush()

    def _score(self, folder: Path, seconds: float | None, seed: int, part: str) -> Measured:
        if seconds is None:
            limit = f"it was still running after {self._seconds:g} seconds"
            raise ExperimentError(f"{limit}; is there a loop without an end?")
        if problem := (folder / sandbox.PROBLEM).read_bytes()[: 4 * N_CHARACTERS]:
            raise ExperimentError(problem.decode(errors="replace"))
        try:
            model = load(folder / sandbox.MODEL)
            operations = self._check(model, seed)
            found = self._documents(model, part).evaluate(InferenceGpt(model).engine_model.nll)
        except (MicrogptError, ArithmeticError) as error:
            raise ExperimentError(str(error).replace(f"{folder}/", "")) from error
        assert found
        loss = found.loss * found.n_tokens / found.n_characters
        if not math.isfinite(loss):
            raise ExperimentError("the loss of its model is not a finite number")
        name = "test_loss" if part == "test" else "val_loss"
        facts: dict[str, Any] = {name: loss, "seconds": seconds}
        return Measured(Evaluation("ok", loss, **facts), operations, count_params(model.model))

    def _check(self, model: SavedModel, seed: int) -> float:
        """Return the operations of a training run; raise ExperimentError if it broke a rule."""
        facts, tokenizer = model.meta.training, model.tokenizer
        if facts.get("seed", seed) != seed:
            raise ExperimentError(f"it trained with seed {facts['seed']}, not with the given one")
        if facts.get("data_sha256") not in (None, fingerprint(self._train)):
            raise ExperimentError("it trained on other documents than those that it is given")
        if "parent_sha256" in facts or "teachers" in facts:
            raise ExperimentError("its model has learned from another model")
        if tokenizer.folds or tokenizer.is_chat:
            raise ExperimentError("its tokenizer leaves out characters that it should predict")
        if "steps" not in facts:
            return 0.0
        key = tokenizer.chars, tokenizer.file
        if key not in self._known:
            self._known[key] = measure(self._train, tokenizer, "lines")
        length = self._known[key].chunk_length(model.model.block_size)
        chosen = {name: facts[name] for name in ("batch_size", "optimizer") if name in facts}
        operations: float = step_operations(model.model, TrainConfig(**chosen), length)
        operations *= facts["steps"]
        if operations > TOLERANCE * self._operations:
            costs, most = in_short(operations), in_short(self._operations)
            raise ExperimentError(f"it trained with {costs} operations, but may use {most}")
        return operations

    def _documents(self, model: SavedModel, part: str) -> EvaluationSet:
        tokenizer, size = model.tokenizer, model.model.block_size
        key = part, size, tokenizer.chars, tokenizer.file
        if key not in self._known:
            docs = self._parts[part]
            self._known[key] = EvaluationSet.from_documents(docs, tokenizer, size, "lines")
        found: EvaluationSet = self._known[key]
        return found
