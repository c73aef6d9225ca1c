"""A job: prompts, each of which is continued once for each seed."""

from collections.abc import Sequence
from dataclasses import dataclass

from microgpt.sampling import DecodeRules


@dataclass(frozen=True)
class Job:
    """Prompts, each of which is continued once for each seed: first all of the first prompt.

    `InferenceGpt.text_job` and `InferenceGpt.reply_job` make one.
    """

    prompts: Sequence[Sequence[int]]
    seeds: range
    rules: DecodeRules

    @property
    def n_sequences(self) -> int:
        """The number of continuations."""
        return len(self.prompts) * len(self.seeds)
