"""What every evolution has: a laboratory, a log, a trace, and somebody who follows it.

This module prints nothing, and knows nothing of how a search works.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from microgpt_evolution.evolve_rust import trace
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator
from microgpt_evolution.objectives.trial import Measured, Trial
from microgpt_evolution.population import Evaluation, Organism
from microgpt_evolution.search.events import Follower, SearchEvent


@dataclass(frozen=True)
class Audience:
    """Who is told of a run.

    Attributes:
        log: is called with each line of the log.
        tell: is called with each line of the trace.
        on_event: is told how far the run is.
    """

    log: Callable[[str], None]
    tell: Callable[[str], None]
    on_event: Callable[[SearchEvent], None]


@dataclass(frozen=True)
class Member:
    """An organism that takes part in a search.

    Attributes:
        organism: as it is bred.
        population: the name of its population.
        seen: how that sees an evaluation.
    """

    organism: Organism
    population: str
    seen: Callable[[Evaluation], Evaluation] = lambda evaluation: evaluation


class SearchRunner:
    """The part of a run that does not depend on what is searched for.

    Attributes:
        laboratory: where organisms are measured.
    """

    def __init__(self, laboratory: CachedEvaluator, audience: Audience) -> None:
        self.laboratory = laboratory
        self._log, self._tell = audience.log, audience.tell
        self._follower = Follower(audience.on_event)

    def _measure(
        self, event: SearchEvent, trials: Sequence[Trial], members: Sequence[Member] = ()
    ) -> list[Evaluation]:
        """Return what trials come to, and tell of those that are made.

        Args:
            event: what begins, without the counts of its evaluations.
            trials: to be made.
            members: what they are of, where they take part in the search.
        """

        def tell(i: int, measured: Measured, reason: str) -> None:
            if not members:
                self._follower.evaluated()
                return
            member = members[i]
            done = replace(member.organism, evaluation=member.seen(measured.evaluation))
            self._tell(trace.done(done, measured.seconds, reason))
            self._follower.evaluated(member.population, done)

        n_done = self.laboratory.count_known(trials)
        self._follower.begin(replace(event, n_done=n_done, n_all=len(trials)))
        return self.laboratory.measure(trials, tell)

    def _say(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._log(line)
