"""A research is a study of tries: changed programs, each compared with the champion of its time.

    tries/0.py       the program to begin with; tries/3.py is the third try
    champion.py      the program of the last try that was kept

The verdicts follow from the records of trials.jsonl, so an interrupted try goes on.
"""

import difflib
import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

from microgpt import ConfigError, in_short, publish, read
from microgpt_evolution.confidence_intervals import Mean
from microgpt_evolution.evolution_errors import StudyError, raised_as
from microgpt_evolution.genome import Genome
from microgpt_evolution.research.judge import Judge
from microgpt_evolution.research.sequential_test import CONFIRM, KEPT, SEARCH, decide
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import ResearchSettings
from microgpt_evolution.trial import Trial, TrialRecord, training_seed

TRIES, CHAMPION, MAX_BYTES = "tries", "champion.py", 2**20
START, FINAL, FAILED = "start", "final", "failed"
PARTS = (START, SEARCH, CONFIRM, FINAL)  # each has seeds of its own
N_START, N_FINAL = 5, 8  # number of training runs of the start, and of pairs on the test part
NUMBER, FACTORS = re.compile(r"(?<=: )\d[\d.e-]*"), (0.5, 0.7, 1.4, 2.0)


@dataclass(frozen=True)
class Try:
    """A program, and the training runs that decided on it."""

    number: int
    code: str
    champion: str  # the program that it was compared with
    records: Sequence[TrialRecord]

    def losses(self, part: str, code: str) -> dict[int, float]:
        """Return the losses of a program in a part, by seed."""
        key = code_hash(code)
        found = (each for each in self.records if each.origin == part and each.code == key)
        return {each.seed: each.fitness for each in found if each.is_ok}

    @property
    def loss(self) -> Mean:
        """The loss of the program to begin with."""
        return Mean.over([*self.losses(START, self.code).values()])

    def gains(self, part: str) -> list[float]:
        """Return by how much the loss of each pair is lower than the champion's."""
        ours, theirs = self.losses(part, self.code), self.losses(part, self.champion)
        return [theirs[seed] - loss for seed, loss in ours.items() if seed in theirs]

    @property
    def reason(self) -> str:
        """Why the try has failed; empty if it has not."""
        return next((each.reason for each in self.records if not each.is_ok), "")

    @cached_property
    def verdict(self) -> str:
        """The verdict, or the part that the next pair of training runs belongs to."""
        if self.reason or not self.number:
            return FAILED if self.reason else KEPT
        return decide(self.gains(SEARCH), self.gains(CONFIRM))

    @property
    def gain(self) -> Mean | None:
        """The gain with fresh seeds, else that of the search; None without a pair."""
        found = self.gains(CONFIRM) or self.gains(SEARCH)
        return Mean.over(found) if found else None

    @property
    def facts(self) -> dict[str, str]:
        """The verdict with its figures, by name."""
        diff = difflib.ndiff(self.champion.splitlines(), self.code.splitlines())
        signs = [line[0] for line in diff if line[2:].strip()]
        runs = [each for each in self.records if each.code == code_hash(self.code) and each.is_ok]
        return {
            "try": str(self.number),
            "verdict": self.verdict,
            "gain": str(self.gain or ""),
            "pairs": f"{len(self.gains(SEARCH))} + {len(self.gains(CONFIRM))}",
            "lines": f"+{signs.count('+')} -{signs.count('-')}",
            "seconds": f"{fmean(each.seconds for each in runs):.2f}" if runs else "",
            "operations": in_short(runs[0].flops) if runs and runs[0].flops else "",
            "reason": self.reason,
        }

    def describe(self) -> str:
        """Return the verdict with its figures, on one line."""
        return ", ".join(f"{name} {fact}" for name, fact in self.facts.items() if fact)


@dataclass(frozen=True)
class Research:
    """The tries of a study, and what adds to them."""

    study: Study[ResearchSettings]

    @property
    def tries(self) -> list[Try]:
        """The tries, the program to begin with first."""
        found, champion, folder = list[Try](), "", self.study.directory / TRIES
        for number in sorted(int(path.stem) for path in folder.glob("*.py")):
            code = read_code(folder / f"{number}.py")
            records = [each for each in self.study.records if each.id == f"t{number}"]
            found.append(Try(number, code, champion or code, records))
            champion = code if found[-1].verdict == KEPT else champion
        return found

    @property
    def champion(self) -> str:
        """The program of the last try that was kept."""
        return next(each.code for each in reversed(self.tries) if each.verdict == KEPT)

    def start(self, code: str, judge: Judge) -> tuple[Mean, float]:
        """Train the program to begin with; return its loss, and the deviation of a null gain."""
        self._add(0, code)
        for place in range(N_START):
            self._measure(judge, 0, START, place, code)
        losses = [*self.tries[0].losses(START, code).values()]
        return Mean.over(losses), sqrt(2) * stdev(losses)

    def run(self, code: str, judge: Judge) -> Try:
        """Compare a program with the champion until there is a verdict; go on with the last try."""
        tries = self.tries
        if self.study.has_ended:
            raise StudyError("the test part was read, which ended the research; start another one")
        if code == self.champion:
            raise ConfigError("the program is the champion; change it first")
        if (last := tries[-1]).verdict not in PARTS or last.code != code:
            if before := [each for each in tries if each.code == code]:
                raise ConfigError(f"the program was tried before: {before[0].describe()}")
            last = self._add(last.number + 1, code)
        while (part := last.verdict) in PARTS:
            place = len(last.gains(part))
            if self._measure(judge, last.number, part, place, code).is_ok:
                self._measure(judge, last.number, part, place, last.champion)
            last = self.tries[-1]
        publish(self.study.directory, {CHAMPION: self.champion.encode()})
        return last

    def propose(self) -> str:
        """Return the program of an interrupted try, else the champion with another setting."""
        if (last := self.tries[-1]).verdict in PARTS:
            return last.code
        known = [each.code for each in self.tries]
        if found := [each for each in neighbors(self.champion) if each not in known]:
            return random.Random(f"{self.study.settings.seed}/{last.number}").choice(found)
        raise ConfigError("no number of SETTINGS = {…} in the program is left to change")

    def read_test(self, judge: Judge) -> Mean:
        """Compare the champion with the first program on the test part, and end the research."""
        for place in range(N_FINAL):
            for code in (self.tries[0].code, self.champion):
                self._measure(judge, 0, FINAL, place, code)
        self.study.end()
        return Mean.over(self.final_gains())

    def final_gains(self) -> list[float]:
        """Return the gains of the champion on the test part; empty before it is read."""
        first = self.tries[0]
        return replace(first, code=self.champion, champion=first.code).gains(FINAL)

    def _measure(self, judge: Judge, number: int, part: str, place: int, code: str) -> TrialRecord:
        """Return the record of a training run, which is done unless there is one."""
        seed = training_seed(self.study.settings.seed, number, place, PARTS.index(part))
        trial = Trial(Genome(), seed, f"t{number}", part, code=code_hash(code))
        if known := self.study.record_of(trial):
            return known
        found = judge.measure(code, seed, "test" if part == FINAL else "validation")
        if (reason := found.evaluation.reason) and code in (self.tries[0].code, self.champion):
            raise StudyError(f"the champion failed: {reason}")  # this is not recorded
        return self.study.add(trial, found.evaluation, found.operations, found.n_params)

    def _add(self, number: int, code: str) -> Try:
        publish(self.study.directory / TRIES, {f"{number}.py": code.encode()})
        return self.tries[-1]


def code_hash(code: str) -> str:
    """Return the SHA-256 of a program."""
    return hashlib.sha256(code.encode()).hexdigest()


def read_code(path: Path) -> str:
    """Return a program; raise StudyError if it cannot be read."""
    with raised_as(StudyError, path):
        return read(path, MAX_BYTES, StudyError).decode()


def neighbors(code: str) -> list[str]:
    """Return the programs with a number of the dict SETTINGS multiplied by a factor."""
    start, found = code.find("SETTINGS = {"), list[str]()
    for each in NUMBER.finditer(code, max(start, 0), max(code.find("}", start), 0)):
        for factor in FACTORS:
            new = float(each[0]) * factor
            text = str(max(1, round(new))) if each[0].isdigit() else f"{new:.2g}"
            found.append(code[: each.start()] + text + code[each.end() :])
    return found
