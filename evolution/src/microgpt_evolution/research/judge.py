"""The judge trains experiment.py in a sandbox, and scores its model on held-out documents."""

import json
import math
import os
import signal
import subprocess
import sys
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from microgpt import (
    InferenceGpt,
    MicrogptError,
    SavedModel,
    Split,
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

ENVIRONMENT = {"PATH", "HOME", "LANG", "TMPDIR", "NUMBA_CACHE_DIR", "NUMBA_CPU_NAME"}
N_CHARACTERS = 200  # maximum length of a problem


class Judge(AbstractContextManager["Judge"]):
    """Trains experiments and scores their models."""

    def __init__(self, sets: Split, operations: float, seconds: float = 60) -> None:
        """Start the sandbox, which gets the training documents only.

        A training run has at most so many operations, and so many seconds for each 1e9 of them.
        """
        if not hasattr(os, "fork"):
            raise StudyError("research needs fork, which Windows lacks; run it on Linux or macOS")
        known = {*"".join(map(str, sets.train))}  # texts with other characters have no loss
        parts = {"validation": sets.validation, "test": sets.test}
        self._parts = {n: [d for d in docs if known >= {*str(d)}] for n, docs in parts.items()}
        self._train, self._operations = sets.train, operations
        self._limits = {"operations": operations, "seconds": seconds * max(1, operations / 1e9)}
        self._folder = TemporaryDirectory(ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [sys.executable, "-I", sandbox.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={name: os.environ[name] for name in ENVIRONMENT & os.environ.keys()},
            cwd=self._folder.name,
            text=True,
            start_new_session=True,  # Ctrl-C is for the judge
        )

    def __exit__(self, *_: object) -> None:
        """End the sandbox and remove its directory."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        self._folder.cleanup()

    def measure(self, code: str, seed: int, part: str) -> tuple[Evaluation, float]:
        """Train a program with a seed, and score its model on a part of the documents.

        The number is that of its operations, or 0 if it has a training loop of its own.
        """
        with TemporaryDirectory(dir=self._folder.name, ignore_cleanup_errors=True) as directory:
            request = {"directory": directory, "code": code, "seed": seed, "docs": self._train}
            with suppress(BrokenPipeError):  # the sandbox may have ended
                print(json.dumps(request | self._limits), file=self._process.stdin, flush=True)
            assert self._process.stdout
            if not (answer := self._process.stdout.readline()):
                raise StudyError("the sandbox has ended; run `microgpt research try` again")
            found = json.loads(answer)
            try:
                if found["problem"]:
                    raise StudyError(found["problem"])
                model = load(Path(directory, sandbox.MODEL))
                operations = self._check(model, seed)
                held_out = InferenceGpt(model).evaluate(self._parts[part], text="lines")
                if not math.isfinite(held_out.loss):
                    raise StudyError("the loss of its model is not a finite number")
            except (MicrogptError, ArithmeticError, TypeError) as error:
                reason = " ".join(str(error).replace(f"{directory}/", "").split())
                return Evaluation("crashed", reason=printable(reason, N_CHARACTERS)), 0.0
        loss = held_out.loss * held_out.n_tokens / held_out.n_characters
        return Evaluation("ok", loss, seconds=found["seconds"]), operations

    def _check(self, model: SavedModel, seed: int) -> float:
        """Return the operations of a training run; raise StudyError if it broke a rule."""
        facts, tokenizer = model.meta.training, model.tokenizer
        if facts.get("seed", seed) != seed:
            raise StudyError(f"it trained with seed {facts['seed']}, not with the given one")
        if facts.get("data_sha256") not in (None, fingerprint(self._train)):
            raise StudyError("it trained on other documents than those that it is given")
        if "parent_sha256" in facts or "teachers" in facts:
            raise StudyError("its model has learned from another model")
        if tokenizer.folds or tokenizer.is_chat:
            raise StudyError("its tokenizer leaves out characters that it should predict")
        if "steps" not in facts:
            return 0.0
        length = measure(self._train, tokenizer, "lines").chunk_length(model.model.block_size)
        config = replace(model.config, batch_size=facts.get("batch_size", 1))
        operations: float = facts["steps"] * step_operations(model.model, config, length)
        if operations > self._operations:
            costs, most = in_short(operations), in_short(self._operations)
            raise StudyError(f"it trained with {costs} operations, but may use {most}")
        return operations
