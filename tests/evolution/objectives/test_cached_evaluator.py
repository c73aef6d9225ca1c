"""What becomes of trials: refused, made once, or looked up."""

from dataclasses import replace
from pathlib import Path

from searches import SETTINGS

from microgpt.data.split import split
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator
from microgpt_evolution.objectives.loss_objective import LossObjective
from microgpt_evolution.objectives.trial import Trial
from microgpt_evolution.search.records import Records
from microgpt_evolution.workers.pools import Threads

DOCS = [a + b + c + d for a in "aei" for b in "mnr" for c in "aeo" for d in ["", "l", "nn"]]
PARTS = split(DOCS, validation=0.2, test=0.2)
SMALL = Genome(n_emb=8, n_ctx=4, n_layer=1, n_head=2, n_ff_exp=2, steps=60, lr=0.02)


def test_known_trials_are_reused_and_large_ones_refused(tmp_path: Path) -> None:
    limit = 10 * LossObjective.of(PARTS).flops(SMALL)
    objective = LossObjective.of(PARTS, max_flops=limit)
    trials = [Trial(SMALL, 1, "g1-1"), Trial(replace(SMALL, steps=6000), 2, "g1-2")]
    made: list[int] = []
    with Records.begin(tmp_path, "evolve", SETTINGS) as records, Threads(1) as pool:
        evaluator = CachedEvaluator(objective, pool, records)
        found = evaluator.measure(trials, lambda i, evaluation: made.append(i))
        assert [evaluation.status for evaluation in found] == ["ok", "refused"]
        assert found[1].reason == objective.refusal(trials[1].config)
        assert found[0] == objective.measure(SMALL, 1)
        assert evaluator.measure(trials, lambda i, evaluation: made.append(i)) == found
    assert made == [1, 0]
    assert evaluator.count_known(trials) == 2
