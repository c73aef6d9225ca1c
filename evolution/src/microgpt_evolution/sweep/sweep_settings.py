"""The settings and the study of a sweep."""

from typing import Annotated, Literal

from pydantic import Field

from microgpt_evolution.genome import Genome
from microgpt_evolution.study import SWEEP, Seed, Study, StudySettings
from microgpt_evolution.trial import Genes, Stored, Trial, TrialRecord

Kind = Literal["steps", "params", "grid"]


class ChosenSettings(Stored):
    """The settings that `train` chooses for the documents; they are the center of a grid."""

    base: Genes
    swept: tuple[str, ...]  # names of the settings with several values
    vocab_size: int | None  # requested size of the BPE vocabulary; None for characters


class SweepSettings(StudySettings):
    """The settings of a sweep, as stored in settings.json."""

    kind = SWEEP
    more = frozenset({"seeds"})

    sweep: Kind
    genomes: Annotated[tuple[Genes, ...], Field(min_length=1)]  # trained with each seed
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    has_function: bool = False  # whether the user passes an objective, from Python
    chosen: ChosenSettings | None = None  # None if the others are Karpathy's

    @property
    def tasks(self) -> list[tuple[Genome, int]]:
        """All pairs of a genome and a seed, in table order."""
        return [(genome, seed) for genome in self.genomes for seed in self.seeds]

    @property
    def documents(self) -> tuple[object, ...]:
        """A key for the data and its split; only losses with the same key are comparable."""
        vocab_size = self.chosen.vocab_size if self.chosen else None
        how = self.text, self.gap, vocab_size, self.chosen is None
        return self.data_sha256, self.val_fraction, self.test_fraction, how


class SweepRecords(Study[SweepSettings]):
    """The records of a sweep; see `Study`."""

    settings_type = SweepSettings
    repeats_failures = True  # they depend on the machine

    @property
    def results(self) -> list[TrialRecord]:
        """The recorded results, in table order."""
        keys = (Trial(*task).key for task in self.settings.tasks)
        return [self._lines[key] for key in keys if key in self._lines]

    def todo(self) -> list[Trial]:
        """Return the trials that must still be run."""
        trials = (Trial(genome, seed) for genome, seed in self.settings.tasks)
        return [trial for trial in trials if not self.known(trial)]
