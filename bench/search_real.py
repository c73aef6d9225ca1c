"""Compare `evolve --minutes` with other searches and with `train --minutes`, by real training.

On names, and on a text that was not used while the search was made (identifiers), each contender
may spend the operations of ten minutes on one core: `microgpt evolve`, with and without a student,
`microgpt train`, and Optuna and SMAC3 with the same values of the same genes and equally long
training runs. `evolve` and "the rule, then Optuna" begin with the rule's genome, the latter with
the closest values. A rival that asks for an impossible genome is told that it diverged, and pays
one point, an eighth of a run. The preset of a minute stands beside them. Prints the losses of the
test part, which no contender has seen, and writes them to bench/results.

    uv run python bench/search_real.py [--only CONTENDER] [--seeds 3] [--core 1]

Existing results are reused unless --again is given, so an interrupted run can be continued. Takes
five hours on one core. Optuna and SMAC3 run in environments of their own, which uv makes.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import perf_counter

from experience import SECOND, TEXT_FILES, document_of
from search_fight import command_of
from search_real_tables import RIVALS, real_table
from texts import write
from train_speed import HERE
from trainings import FIRST_SEED, Results, parsed

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.split import Split
from microgpt.inference import InferenceGpt
from microgpt.state import TrainState
from microgpt.storage.model_directory import load
from microgpt.training.engines import prepare_engine
from microgpt.training.train import train
from microgpt_cli.search.budgeted_run import MAX_SHARE
from microgpt_cli.training.fitting import Fitting, fitting_for
from microgpt_evolution.budgeted.default_space import space_for
from microgpt_evolution.budgeted.genome import BudgetedGenome
from microgpt_evolution.budgeted.objective import BudgetedObjective, Rung
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.objectives.loss_objective import MAX_BYTES
from microgpt_evolution.space import Space

sys.path.insert(0, str(HERE / "rivals"))

from search_job import Job

TEXTS = {"names": "names-60s", "identifiers": "text-60s"}  # and the preset for such texts
BUDGET = 600 * SECOND  # operations
SEEDS = 3


@dataclass
class Loss:
    """The loss of a contender's model, and the time that it took."""

    test_bits: float  # bits per character
    seconds: float

    def __str__(self) -> str:
        return f"test {self.test_bits:.4f} in {self.seconds:.0f} s"


@dataclass
class Trainer:
    """Trains what a rival asks for.

    Attributes:
        best: lowest validation loss so far, with the genome, seed and state that have it.
    """

    objective: BudgetedObjective
    space: Space
    rule: BudgetedGenome
    best: tuple[float, BudgetedGenome, int, TrainState] | None = None
    _known: dict[tuple[BudgetedGenome, int], tuple[list[float], TrainState | None]] = field(
        default_factory=dict
    )

    def train(self, places: list[int], seed: int, until: int) -> list[float]:
        """Return the losses of a genome up to a point; its genes are given by their places."""
        values = zip(self.space.values.items(), places, strict=True)
        genes = {gene: of_gene[place] for (gene, of_gene), place in values}
        try:
            genome = replace(self.rule, **genes)
        except GenomeError:
            return [math.inf]
        if self.objective.refusal(genome):
            return [math.inf]
        losses, state = self._known.get((genome, seed), ([], None))
        if len(losses) < until and math.inf not in losses:
            found = self.objective.run(Rung(genome, seed, until, state))
            losses, state = [*losses, *found.losses[len(losses) - until :]], found.state
            self._known[genome, seed] = losses, state
            if state and (self.best is None or min(losses) < self.best[0]):
                self.best = (min(losses), genome, seed, state)
        return losses[:until]


def main() -> None:
    """Run the missing searches and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=RIVALS)
    options = parsed(parser)
    prepare_engine("compiled", uses=("training", "evaluation", "generation"))
    kept = Results("search_real", again=options.again)
    for text in TEXTS:
        for seed in range(FIRST_SEED, FIRST_SEED + (options.seeds or SEEDS)):
            for rival in RIVALS:
                if options.only in (None, rival):
                    add(kept, text, rival, seed)
    print(real_table(kept.kept))


def add(kept: Results, text: str, rival: str, seed: int) -> None:
    """Run a contender and store its loss, unless it exists."""
    fitting = fitting_for(document_of(text), minutes=None, budget=BUDGET)

    def measure(model: ModelConfig, config: TrainConfig, label: str) -> Loss:
        started = perf_counter()
        loss = own(text, rival, seed, fitting.parts) or searched(fitting, rival, seed)
        return Loss(loss, perf_counter() - started)

    kept.add(f"{text}, {BUDGET:g}, {rival}", ModelConfig(), TrainConfig(seed=seed), measure)


def own(text: str, rival: str, seed: int, parts: Split) -> float | None:
    """Run a command of microgpt, and return the test loss of its model."""
    search = ["evolve", "--workers", "1", "--budget", str(BUDGET)]
    arguments = {
        "preset": ["train", "--preset", TEXTS[text], "--model"],
        "train": ["train", "--budget", str(BUDGET), "--model"],
        "evolve": [*search, "--train-winner"],
        "winner": [*search, "--distill", "0", "--train-winner"],
    }
    if rival not in arguments:
        return None
    with tempfile.TemporaryDirectory() as folder:
        command = [*arguments[rival], "model"]
        data = ["--data", write(text, TEXT_FILES), "--seed", str(seed)]
        program = [sys.executable, "-m", "microgpt_cli", *command, *data]
        subprocess.run(program, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        model = InferenceGpt(load(Path(folder, "model")))
    return model.evaluate(parts.test).bits_per_character


def searched(fitting: Fitting, rival: str, seed: int) -> float:
    """Run a search of a rival, and return the test loss of the best model."""
    ruled = fitting.for_budget(MAX_SHARE * BUDGET)
    choice, sizes, parts = ruled.choice, ruled.sizes, fitting.parts
    length = sizes.chunk_length(choice.model.block_size)
    rule = BudgetedGenome.of(choice, length, ruled.vocab_size)
    space = space_for(rule, choice.config.text, sizes.n_characters)
    objective = BudgetedObjective(
        replace(parts, test=()), choice.config.text, choice.operations, max_bytes=MAX_BYTES
    )
    trainer = Trainer(objective, space, rule)
    points = int(BUDGET / objective.cost(rule, 1))
    grid = {gene: [*range(len(values))] for gene, values in space.values.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "job.json")
        first = dict(zip(space.values, map(round, place(space, rule)), strict=True))
        job = Job(grid, None, points, [seed], first if rival.startswith("ruled_") else None)
        path.write_text(json.dumps(asdict(job)))
        command, environment = command_of(rival, path)
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin
            assert process.stdout
            for line in process.stdout:
                losses = trainer.train(*json.loads(line))
                print(json.dumps(losses), file=process.stdin, flush=True)
    assert process.returncode == 0, f"{rival} failed"
    assert trainer.best, f"{rival} has not trained anything"
    _, genome, run_seed, state = trainer.best
    model, config = objective.settings(genome, run_seed)
    result = train(
        parts,
        model=model,
        config=config,
        tokenizer=objective.tokens(genome.vocab_size).tokenizer,
        resume=state,
        until=state.step,
    )
    return InferenceGpt(result).evaluate(parts.test, text=config.text).bits_per_character


def place(space: Space, genome: BudgetedGenome) -> list[float]:
    """Return the places of the closest values of a space."""
    sizes = [len(values) - 1 for values in space.values.values()]
    return [size * at for size, at in zip(sizes, space.coordinates(genome), strict=True)]


if __name__ == "__main__":
    main()
