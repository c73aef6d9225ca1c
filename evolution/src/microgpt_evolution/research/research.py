"""A research study consists of tries, each of which compares a program with the champion.

The champion is the program of the last try that was kept; champion.py is a copy of it. tries/0.py
is the initial program. Verdicts follow from the recorded losses, so a killed try can be resumed.
"""

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from microgpt import ConfigError, in_short, publish, read
from microgpt_evolution.confidence_intervals import Mean
from microgpt_evolution.evolution_errors import StudyError
from microgpt_evolution.genome import Genome, fit_together
from microgpt_evolution.research.judge import Judge
from microgpt_evolution.research.sequential_test import CONFIRM, KEPT, SEARCH, decide
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import ResearchSettings
from microgpt_evolution.trial import Trial, TrialRecord, training_seed

TRIES, CHAMPION, MAX_BYTES = "tries", "champion.py", 2**20
FINAL, N_FINAL = "final", 8  # origin and number of the trials on the test set
PARTS = {SEARCH: 1, CONFIRM: 2, FINAL: 3}  # argument `repeat` of `training_seed`, by origin
NUMBER, MAX_DRAWS = re.compile(r'"(\w+)": (\d+(?:\.\d+)?(?:e-?\d+)?)'), 1000


@dataclass(frozen=True)
class Try:
    """A program and its trials, each of which runs it and the champion with the same seed."""

    number: int
    code: str
    champion: str  # the program with which `code` is compared
    records: list[TrialRecord]

    def gains(self, part: str) -> list[float]:
        """Return the champion's loss minus the program's, for each trial of origin `part`."""
        losses = (each.losses for each in self.records if each.is_ok and each.origin == part)
        return [theirs - ours for ours, theirs in losses]

    @property
    def gain(self) -> Mean | None:
        """The mean gain in the confirmation, or else in the search; None if there is no result."""
        found = self.gains(CONFIRM) or self.gains(SEARCH)
        return Mean.over(found) if found else None

    @property
    def verdict(self) -> str:
        """The verdict or, until there is one, the part of the next trial: SEARCH or CONFIRM."""
        failed = [f"failed: {each.reason}" for each in self.records if not each.is_ok]
        return failed[0] if failed else decide(self.gains(SEARCH), self.gains(CONFIRM))

    @property
    def winner(self) -> str:
        """The program with which the next try is compared."""
        return self.code if self.verdict == KEPT else self.champion

    @property
    def facts(self) -> dict[str, str]:
        """The verdict, the figures and the change of the try as texts, by name."""
        new, old = (Counter(filter(str.strip, c.splitlines())) for c in (self.code, self.champion))
        n_new, n_old = (new - old).total(), (old - new).total()
        change = " → ".join(line.strip(" ,") for line in (*(old - new), *(new - old)))
        runs = [each for each in self.records if each.is_ok]
        return {
            "try": str(self.number),
            "verdict": "none yet" if self.verdict in PARTS else self.verdict,
            "gain": str(self.gain or ""),
            "pairs": f"{len(self.gains(SEARCH))} + {len(self.gains(CONFIRM))}",
            "seconds": f"{Mean.over([each.seconds for each in runs]).value:.2f}" if runs else "",
            "operations": in_short(runs[0].flops) if runs and runs[0].flops else "",
            "change": change if n_new == n_old == 1 else f"+{n_new} -{n_old} lines",
        }

    def describe(self) -> str:
        """Return the verdict and the figures of the try on one line."""
        return ", ".join(f"{name} {fact}" for name, fact in self.facts.items() if fact)


class Research(Study[ResearchSettings]):
    """A study that compares changed versions of a program with the best one so far."""

    @property
    def tries(self) -> list[Try]:
        """The tries; the first one is the initial program."""
        found, folder = list[Try](), self.directory / TRIES
        for number in range(len([*folder.glob("*.py")])):
            code = read_code(folder / f"{number}.py")
            records = [each for each in self.records if each.id == f"t{number}"]
            found.append(Try(number, code, found[-1].winner if found else code, records))
        return found

    def run(self, code: str, judge: Judge) -> Try:
        """Try a program until there is a verdict; an unfinished try of this program is resumed."""
        if self.has_ended:
            raise StudyError("the test part was read, which ended the study; start another one")
        for each in (tries := self.tries):
            if each.code == code and each.verdict not in PARTS:
                raise ConfigError(f"try {each.number} is this program ({each.verdict}); change it")
        if not tries or tries[-1].code != code:
            publish(self.directory / TRIES, {f"{len(tries)}.py": code.encode()})
        while (part := (last := self.tries[-1]).verdict) in PARTS:
            self._measure(last, part, judge)
        publish(self.directory, {CHAMPION: last.winner.encode()})
        return last

    def propose(self) -> str:
        """Return the champion with one number changed: the same change until it has a verdict."""
        code = self.tries[-1].winner
        known = [each.code for each in self.tries if each.verdict not in PARTS]
        rng, numbers = Random(f"{self.settings.seed}/{len(known)}"), [*NUMBER.finditer(code)]
        for number in rng.choices(numbers, k=MAX_DRAWS) if numbers else ():
            new = float(number[2]) * 2 ** rng.uniform(-1, 1)
            text = str(max(1, round(new))) if number[2].isdigit() else f"{new:.2g}"
            found = code[: number.start(2)] + text + code[number.end(2) :]
            fit = [fit_together(dict(NUMBER.findall(each))) for each in (code, found)]
            if found not in known and fit != [True, False]:
                return found
        raise ConfigError('no number of SETTINGS, such as "lr": 0.01, is left to change')

    def read_test(self, judge: Judge) -> Mean:
        """Return the gain of the champion over the first program on the test set; end the study."""
        while len((first := (tries := self.tries)[0]).gains(FINAL)) < N_FINAL:
            if (last := tries[-1]).verdict in PARTS:
                raise ConfigError(f"try {last.number} has no verdict; run: microgpt research try")
            self._measure(replace(first, code=last.winner), FINAL, judge)
        self.end()
        return Mean.over(first.gains(FINAL))

    def _measure(self, each: Try, part: str, judge: Judge) -> None:
        """Run and record the next trial of a part; raise StudyError if the champion fails."""
        place, held_out = len(each.gains(part)), "test" if part == FINAL else "validation"
        seed = training_seed(self.settings.seed, each.number, place, PARTS[part])
        found = {c: judge.measure(c, seed, held_out) for c in {each.code, each.champion}}
        (ours, operations), (theirs, _) = found[each.code], found[each.champion]
        if problem := theirs.reason or ("" if each.number else ours.reason):
            raise StudyError(f"the champion failed: {problem}; try again")
        losses = (ours.fitness, theirs.fitness) if ours.is_ok else ()
        trial = Trial(Genome(), seed, f"t{each.number}", part)
        self.add(trial, replace(ours, losses=losses), operations, n_params=0)


def read_code(path: Path) -> str:
    """Return the source code of a program; raise StudyError if it cannot be read."""
    return read(path, MAX_BYTES, StudyError).decode(errors="replace")
