"""The judge trains experiment.py in a sandbox, and scores its model on held-out documents."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, NamedTuple

from microgpt import (
    EvaluationSet,
    InferenceGpt,
    MicrogptError,
    SavedModel,
    Split,
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

ENVIRONMENT = ("PATH", "HOME", "LANG", "TMPDIR", "NUMBA_CACHE_DIR", "NUMBA_CPU_NAME")
TOLERANCE = 1.001  # of the operations
N_CHARACTERS = 200  # maximum length of a problem


class Measured(NamedTuple):
    """The measurements of a training run."""

    evaluation: Evaluation
    operations: float = 0.0  # 0 if the experiment has a training loop of its own
    n_params: int = 0


class Judge(AbstractContextManager["Judge"]):
    """Trains experiments and scores their models."""

    def __init__(self, sets: Split, operations: float, seconds: float = 60) -> None:
        """Start the sandbox, which gets the training documents only.

        A training run has at most so many operations, and so many seconds for each 1e9 of them.
        """
        if not hasattr(os, "fork"):
            raise StudyError("research needs fork, which Windows lacks; run it on Linux or macOS")
        self._sets, self._operations, self._sha256 = sets, operations, fingerprint(sets.train)
        known = {*"".join(map(str, sets.train))}  # texts with other characters have no loss
        parts = {"validation": sets.validation, "test": sets.test}
        self._parts = {n: [d for d in docs if known >= {*str(d)}] for n, docs in parts.items()}
        self._folder = Path(mkdtemp()).resolve()
        self._process = subprocess.Popen(
            [sys.executable, "-I", sandbox.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
            cwd=self._folder,
            text=True,
            start_new_session=True,  # Ctrl-C is for the judge
        )
        self._send(docs=sets.train, seconds=seconds * max(1, operations / 1e9))

    def __exit__(self, *_: object) -> None:
        """End the sandbox and remove its directory."""
        with suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(BrokenPipeError):
            self._process.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)

    def measure(self, code: str, seed: int, part: str) -> Measured:
        """Train a program with a seed, and score its model on a part of the documents."""
        with TemporaryDirectory(dir=self._folder, ignore_cleanup_errors=True) as folder:
            self._send(directory=folder, code=code, seed=seed, operations=self._operations)
            assert self._process.stdout
            if not (answer := self._process.stdout.readline()):
                raise StudyError("the sandbox has ended; run `microgpt research try` again")
            found = json.loads(answer)
            try:
                if found["problem"]:
                    raise StudyError(found["problem"])
                return self._score(Path(folder, sandbox.MODEL), found["seconds"], seed, part)
            except (MicrogptError, ArithmeticError) as error:
                reason = " ".join(str(error).replace(f"{folder}/", "").split())
                return Measured(Evaluation("crashed", reason=printable(reason, N_CHARACTERS)))

    def _send(self, **facts: object) -> None:
        assert self._process.stdin
        with suppress(BrokenPipeError):  # `measure` notices that the sandbox has ended
            print(json.dumps(facts), file=self._process.stdin, flush=True)

    def _score(self, path: Path, seconds: float, seed: int, part: str) -> Measured:
        model = load(path)
        operations = self._check(model, seed)
        docs, size = self._parts[part], model.model.block_size
        key = part, size, model.tokenizer.chars, model.tokenizer.file
        held_out = self._sets.once(
            key, lambda: EvaluationSet.from_documents(docs, model.tokenizer, size, "lines")
        )
        found = held_out.evaluate(InferenceGpt(model).engine_model.nll)
        assert found
        loss = found.loss * found.n_tokens / found.n_characters
        if not math.isfinite(loss):
            raise StudyError("the loss of its model is not a finite number")
        name = "test_loss" if part == "test" else "val_loss"
        facts: dict[str, Any] = {name: loss, "seconds": seconds}
        return Measured(Evaluation("ok", loss, **facts), operations, count_params(model.model))

    def _check(self, model: SavedModel, seed: int) -> float:
        """Return the operations of a training run; raise StudyError if it broke a rule."""
        facts, tokenizer = model.meta.training, model.tokenizer
        if facts.get("seed", seed) != seed:
            raise StudyError(f"it trained with seed {facts['seed']}, not with the given one")
        if facts.get("data_sha256") not in (None, self._sha256):
            raise StudyError("it trained on other documents than those that it is given")
        if "parent_sha256" in facts or "teachers" in facts:
            raise StudyError("its model has learned from another model")
        if tokenizer.folds or tokenizer.is_chat:
            raise StudyError("its tokenizer leaves out characters that it should predict")
        if "steps" not in facts:
            return 0.0
        key, train = ("lengths", tokenizer.chars, tokenizer.file), self._sets.train
        lengths = self._sets.once(key, lambda: measure(train, tokenizer, "lines"))
        length = lengths.chunk_length(model.model.block_size)
        chosen = {name: facts[name] for name in ("batch_size", "optimizer") if name in facts}
        operations: float = step_operations(model.model, TrainConfig(**chosen), length)
        operations *= facts["steps"]
        if operations > TOLERANCE * self._operations:
            costs, most = in_short(operations), in_short(self._operations)
            raise StudyError(f"it trained with {costs} operations, but may use {most}")
        return operations
