"""`microgpt research`: change a program, and keep what is better on fresh seeds."""

from math import sqrt
from pathlib import Path
from statistics import stdev

from microgpt import DEFAULT_SEED, check_setting, recorded_path
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import print_or_discard
from microgpt_cli.terminal.help import GroupedCommand, command_group
from microgpt_cli.training.inputs import default_input
from microgpt_evolution.commands.study_options import INPUT, RUNS, newest_run
from microgpt_evolution.commands.study_run import read_documents, read_documents_again
from microgpt_evolution.confidence_intervals import Mean
from microgpt_evolution.evolution_errors import StudyError
from microgpt_evolution.research.judge import Judge
from microgpt_evolution.research.research import CHAMPION, Research, read_code
from microgpt_evolution.research.sequential_test import CLEAR_EFFECT, SEARCH
from microgpt_evolution.study_settings import ResearchSettings, facts_of

RUN = opt.option(None, f"Directory of the research.  [default: the newest in {RUNS}]")
NEWEST = "research_*", "research", "research start"  # arguments of newest_run
research = command_group(
    """Change a program that trains a model, and keep what makes it better.

    A change is compared with the champion on paired seeds, as many as are needed. It is kept if it
    is better, and again with seeds that no decision has seen. Of a thousand changes without an
    effect, one is kept. `microgpt report` shows the tries.
    """
)


@research.command(
    cls=GroupedCommand,
    epilog="cp examples/research/experiment.py .\nmicrogpt research start experiment.py",
)
def start(
    experiment: Path = opt.argument(..., "Program to change, as in examples/research.", "PROGRAM"),
    input: Path | None = opt.option(*INPUT),
    budget: float = opt.option(1e9, "Most operations of a training run."),
    seed: int = opt.option(DEFAULT_SEED, opt.SEED_HELP),
) -> None:
    """Start a research study: train the program with five seeds, and measure the noise."""
    check_setting("budget", budget)
    code, path = read_code(experiment), input or default_input()
    sets = read_documents(path, {}, None, ResearchSettings)
    facts, program = facts_of(sets) | {"input": recorded_path(path)}, recorded_path(experiment)
    settings = ResearchSettings(**facts, experiment=program, seed=seed, operations=budget)
    judge = Judge(sets, budget)
    if reason := judge.measure(code, seed, "validation")[0].reason:
        raise StudyError(f"{experiment} has no model: {reason}")
    with Research.begin(RUNS, "research", settings) as study:
        losses = [loss for loss, _ in study.run(code, judge).losses(SEARCH)]
    noise = sqrt(2) * stdev(losses)
    print_or_discard(f"The program has loss {Mean.over(losses)} nats per character (5 seeds)")
    print_or_discard(f"A gain of {CLEAR_EFFECT * noise:.4f} is kept nine times in ten")
    print_or_discard(f"Next: change {experiment}, then run: microgpt research try")
    print_or_discard(f"The champion is {study.directory / CHAMPION}")


@research.command("try", cls=GroupedCommand, epilog="microgpt research try --random 20")
def try_(
    run: Path | None = RUN,
    random_tries: int = opt.option(0, "Number of tries to draw at random instead.", "--random"),
) -> None:
    """Compare the changed program, given to `start`, with the champion, until there is a verdict.

    An interrupted try is resumed. The champion is champion.py in the directory of the study.
    """
    with Research(run or newest_run(*NEWEST), ResearchSettings, is_locked=True) as study:
        judge = Judge(read_documents_again(study.settings, None), study.settings.operations)
        for _ in range(random_tries or 1):
            code = study.propose() if random_tries else read_code(Path(study.settings.experiment))
            print_or_discard(study.run(code, judge).describe())


@research.command(cls=GroupedCommand, epilog="microgpt research log")
def log(run: Path | None = RUN) -> None:
    """Print the tries with their verdicts."""
    for each in Research(run or newest_run(*NEWEST), ResearchSettings).tries[1:]:
        print_or_discard(each.describe())


@research.command("test", cls=GroupedCommand, epilog="microgpt research test && microgpt report")
def end(run: Path | None = RUN) -> None:
    """Compare the champion with the first program on the test part, which ends the research."""
    with Research(run or newest_run(*NEWEST), ResearchSettings, is_locked=True) as study:
        judge = Judge(read_documents_again(study.settings, None), study.settings.operations)
        print_or_discard(f"gain of the champion: {study.read_test(judge)}")
