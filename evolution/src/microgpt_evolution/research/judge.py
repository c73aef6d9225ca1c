"""The judge runs experiments in separate processes, and scores the models that they train."""

import json
import re
import sys
from dataclasses import dataclass, replace
from math import log
from pathlib import Path
from subprocess import DEVNULL, PIPE, TimeoutExpired, run
from tempfile import TemporaryDirectory
from textwrap import shorten
from time import perf_counter

from microgpt import InferenceGpt, MicrogptError, Split, load, measure, score_texts, step_operations
from microgpt_evolution.evolution_errors import StudyError
from microgpt_evolution.research import sandbox
from microgpt_evolution.trial import Evaluation


@dataclass(frozen=True)
class Judge:
    """Runs experiments on training documents, and scores their models on held-out documents."""

    sets: Split
    operations: float  # maximum number of operations of a training run
    seconds: float = 60  # time limit per training run, or per 1e9 operations if that is longer

    def measure(self, code: str, seed: int, part: str) -> tuple[Evaluation, float]:
        """Return the evaluation of a program's model on the set `part`, and its operations."""
        started = perf_counter()
        with TemporaryDirectory(ignore_cleanup_errors=True) as directory:
            try:
                self._train(code, seed, Path(directory))
                gpt, operations = self._load(Path(directory, sandbox.MODEL), seed)
                scores = score_texts(gpt, getattr(self.sets, part))
            except (MicrogptError, ArithmeticError, TypeError) as error:
                reason = shorten(str(error).replace(f"{directory}/", ""), width=200)
                return Evaluation("crashed", reason=reason), 0.0
        loss = log(2) * sum(each.bits for each in scores) / sum(each.n_scored for each in scores)
        return Evaluation("ok", loss, seconds=perf_counter() - started), operations

    def _train(self, code: str, seed: int, folder: Path) -> None:
        """Run a program in a separate process; raise StudyError if it fails or takes too long."""
        (folder / sandbox.EXPERIMENT).write_text(code, encoding="utf-8")
        limit = self.seconds * max(1, self.operations / 1e9)
        command = [sys.executable, "-IBc", f"from {sandbox.__name__} import main; main()"]
        data = json.dumps([self.sets.train, seed, self.operations]).encode()
        try:
            ended = run(command, input=data, stdout=DEVNULL, stderr=PIPE, cwd=folder, timeout=limit)
        except TimeoutExpired as error:
            raise StudyError(f"it was still running after {limit:g} seconds") from error
        if ended.returncode or not (folder / sandbox.MODEL).exists():
            text = ended.stderr.decode(errors="replace").strip()
            *_, line = ["", *re.findall(r'experiment.py", (line \d+)', text)]
            problem = text.rpartition("\n")[2] or "it ended without a model or for lack of memory"
            problem = re.sub(r"^(\w+\.)+", "", problem)  # remove the module from the error's name
            raise StudyError(f"{line}: {problem}".removeprefix(": "))

    def _load(self, directory: Path, seed: int) -> tuple[InferenceGpt, float]:
        """Return a model and its training operations; raise StudyError if a rule is violated."""
        model, docs = load(directory), self.sets.train
        data_sha256 = Split(docs, docs).facts.sha256
        facts = {**model.meta.training, "fold": model.tokenizer.folds}
        rules = {"seed": seed, "data_sha256": data_sha256, "ancestor_data": None, "fold": False}
        for name, value in rules.items():
            if (found := facts.get(name, value)) != value:
                how = "train one model with the given seed and docs, and fold no characters"
                raise StudyError(f"its {name} is {found!s:.12}, not {value!s:.12}; {how}")
        length = measure(docs, model.tokenizer, "lines").chunk_length(model.model.block_size)
        config = replace(model.config, batch_size=facts.get("batch_size", 1))
        # A model from the program's own training loop has no recorded steps.
        used: float = facts.get("steps", 0) * step_operations(model.model, config, length)
        if used > self.operations:
            raise StudyError(f"it used {used:.4g} operations, but may use {self.operations:.4g}")
        return InferenceGpt(model), used
