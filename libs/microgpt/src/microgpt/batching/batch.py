"""Jobs of several callers, decoded in one batch.

Jobs with the same rules can share a batch, which works on all of their sequences side by side, a
few milliseconds per call. Between calls the caller can take finished jobs, drop others and turn to
another batch. The result of a job does not depend on the others: it is what `InferenceGpt.samples`
and `InferenceGpt.reply` return.
"""

from collections.abc import Sequence
from itertools import accumulate

from microgpt.engine.compiled_model import CompiledModel
from microgpt.engine.decoding.decode_kernel import FULL, RUNNING, DecodeArrays
from microgpt.errors import PromptError
from microgpt.sampling import Continuation, Job


class Batch:
    """Jobs with the same rules that are decoded together, for one thread at a time."""

    def __init__(
        self, model: CompiledModel, jobs: Sequence[Job], arrays: DecodeArrays | None = None
    ) -> None:
        """Begin; the smaller jobs come first where not all sequences can be in work at once.

        The arrays are those of a batch of the same model in which nothing is open any more.
        """
        numbers = sorted(range(len(jobs)), key=lambda number: jobs[number].n_sequences)
        ends = list(accumulate(jobs[number].n_sequences for number in numbers))
        self.open = {
            number: slice(end - jobs[number].n_sequences, end)
            for number, end in zip(numbers, ends, strict=True)
        }
        pairs = [
            (prompt, seed)
            for number in numbers
            for prompt in jobs[number].prompts
            for seed in jobs[number].seeds
        ]
        prompts, seeds = zip(*pairs, strict=True)
        self._decoder = model.decoder(prompts, jobs[0].rules, seeds, arrays)

    @property
    def arrays(self) -> DecodeArrays:
        """What it works in, for another batch when nothing is open any more."""
        return self._decoder.arrays

    def run(self) -> list[tuple[int, list[Continuation] | PromptError]]:
        """Work for about 20 ms; return the jobs that have ended, by number.

        A PromptError is why a job could not go on.
        """
        if self.open:
            self._decoder.run()
        status = self._decoder.sequences.status.tolist()
        ended = [number for number, rows in self.open.items() if RUNNING not in status[rows]]
        return [(number, self._result(self.open.pop(number))) for number in ended]

    def so_far(self, number: int) -> list[Continuation]:
        """Return the continuations of an open job as far as they are decoded."""
        return self._decoder.continuations(self.open[number])

    def drop(self, number: int) -> None:
        """Stop working on a job."""
        self._decoder.sequences.status[self.open.pop(number)] = FULL

    def _result(self, rows: slice) -> list[Continuation] | PromptError:
        try:
            for i in range(rows.start, rows.stop):
                self._decoder.check(i)
        except PromptError as error:
            return error
        return self._decoder.continuations(rows)
