"""Decode jobs of several callers in one batch.

Jobs with the same sampling rules can share a batch, which decodes all sequences in parallel. Each
call of `run` takes about 20 ms. Between calls, the caller can collect finished jobs, cancel jobs
and switch to another batch. The result of a job does not depend on the other jobs; it equals the
result of `InferenceGpt.samples` or `InferenceGpt.reply`.
Layout: one row per sequence. See docs/engine.md#decoding.
"""

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

from microgpt import Continuation, Job, PromptError
from microgpt_engine.decoding.arrays import FULL, RUNNING, DecodeArrays
from microgpt_engine.decoding.decoder import Decoder

if TYPE_CHECKING:
    from microgpt_engine.compiled_model import CompiledModel


class Batch:
    """Jobs with the same sampling rules, decoded together. Not thread-safe."""

    def __init__(
        self, model: "CompiledModel", jobs: Sequence[Job], spare: list[DecodeArrays]
    ) -> None:
        """Create a decoder for all jobs. Jobs with fewer sequences start first.

        A batch takes its arrays from `spare`, and adds them when its last job ends, unless they are
        large.
        """
        self.open: dict[int, slice] = {}
        pairs: list[tuple[Sequence[int], int]] = []
        for number in sorted(range(len(jobs)), key=lambda number: jobs[number].n_sequences):
            start, job = len(pairs), jobs[number]
            pairs += product(job.prompts, job.seeds)
            self.open[number] = slice(start, len(pairs))
        prompts, seeds = zip(*pairs, strict=True)
        try:
            arrays = spare.pop()
        except IndexError:  # other threads may take arrays, too
            arrays = None
        self._decoder = Decoder(model, prompts, jobs[0].rules, seeds=seeds, arrays=arrays)
        self._spare = spare if self._decoder.is_reusable else []

    def run(self) -> list[tuple[int, list[Continuation] | PromptError]]:
        """Decode for about 20 ms; return the index and result of each job that ended.

        The result is the output that `take` has not returned, or a PromptError if the job failed.
        """
        if self.open:
            self._decoder.run()
        status = self._decoder.sequences.status.tolist()
        ended = [number for number, rows in self.open.items() if RUNNING not in status[rows]]
        results = [(number, self._result(self.open.pop(number))) for number in ended]
        if ended and not self.open:
            self._spare.append(self._decoder.arrays)
        return results

    def take(self, number: int) -> list[Continuation]:
        """Return the output that an unfinished job has generated since the last call."""
        return self._decoder.take(self.open[number])

    def drop(self, number: int) -> None:
        """Cancel an unfinished job."""
        self._decoder.sequences.status[self.open.pop(number)] = FULL
        if not self.open:
            self._spare.append(self._decoder.arrays)

    def _result(self, rows: slice) -> list[Continuation] | PromptError:
        try:
            for i in range(rows.start, rows.stop):
                self._decoder.check(i)
        except PromptError as error:
            return error
        return self._decoder.take(rows)
