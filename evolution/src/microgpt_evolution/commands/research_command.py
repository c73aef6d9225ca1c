"""`microgpt research`: change a program, and keep what is better on fresh seeds."""

from pathlib import Path
from statistics import stdev

from microgpt import DEFAULT_SEED, ConfigError, recorded_path
from microgpt_cli.baselines import baselines, compared
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import print_or_discard
from microgpt_cli.terminal.help import GroupedCommand, command_group
from microgpt_cli.training.inputs import default_input
from microgpt_evolution.commands.study_options import INPUT, RUNS, given_of, newest_run
from microgpt_evolution.commands.study_run import read_documents, read_documents_again, resumable
from microgpt_evolution.confidence_intervals import Mean
from microgpt_evolution.research.judge import Judge
from microgpt_evolution.research.research import CHAMPION, Research, read_code
from microgpt_evolution.research.sequential_test import CLEAR_EFFECT
from microgpt_evolution.study_settings import ResearchSettings, facts_of

RUN = opt.option(None, f"Directory of the study.  [default: the newest in {RUNS}]")
research = command_group(
    "Change a program that trains a model, and keep what is better, also with fresh seeds.\n\n"
    "Of a thousand changes without an effect, one is kept. `microgpt report` shows the tries."
)


@research.command(cls=GroupedCommand, epilog="microgpt research start experiment.py")
def start(
    experiment: Path = opt.argument(..., "Program to change, as in examples/research.", "PROGRAM"),
    input: Path | None = opt.option(*INPUT),
    budget: float = opt.option(1e9, "Most operations of a training run."),
    seed: int = opt.option(DEFAULT_SEED, opt.SEED_HELP),
) -> None:
    """Start a research study: run the program with five seeds, and measure the noise."""
    given_of({"budget": budget, "seed": seed})  # raises ConfigError for values out of range
    code, path = read_code(experiment), input or default_input()
    sets = read_documents(path, {}, None, ResearchSettings)
    facts, program = facts_of(sets) | {"input": recorded_path(path)}, recorded_path(experiment)
    settings = ResearchSettings(**facts, experiment=program, seed=seed, operations=budget)
    judge = Judge(sets, budget)
    if reason := judge.measure(code, seed, "validation")[0].reason:
        raise ConfigError(f"{experiment} has no model: {reason}")
    with Research.begin(RUNS, "research", settings) as study:
        losses = [each.fitness for each in study.run(code, judge).records]
    noise = 2**0.5 * stdev(losses)  # standard deviation of the difference between two runs
    print_or_discard(f"The program has loss {Mean.over(losses)} nats per character (5 seeds)")
    print_or_discard(f"For comparison: {compared(baselines(sets, 'lines'))}")
    print_or_discard(f"A gain of {CLEAR_EFFECT * noise:.4f} is kept nine times in ten")
    print_or_discard(f"Next: change {experiment}, then run: microgpt research try")
    print_or_discard(f"The champion is {study.directory / CHAMPION}")


@research.command("try", cls=GroupedCommand, epilog="microgpt research try --random 20")
def try_(
    run: Path | None = RUN,
    n_random: int = opt.option(0, "Number of tries to draw at random instead.", "--random"),
) -> None:
    """Compare the program with the champion until there is a verdict; resume a killed try."""
    with Research(run or newest_run("research start"), ResearchSettings, is_locked=True) as study:
        judge = Judge(read_documents_again(study.settings, None), study.settings.operations)
        with resumable(study):
            for _ in range(n_random or 1):
                code = study.propose() if n_random else read_code(Path(study.settings.experiment))
                print_or_discard(study.run(code, judge).describe())


@research.command(cls=GroupedCommand, epilog="microgpt research log")
def log(run: Path | None = RUN) -> None:
    """Print the tries with their verdicts."""
    for each in Research(run or newest_run("research start"), ResearchSettings).tries[1:]:
        print_or_discard(each.describe())


@research.command("test", cls=GroupedCommand, epilog="microgpt research test && microgpt report")
def end(run: Path | None = RUN) -> None:
    """Compare the champion with the first program on the test part, which ends the study."""
    with Research(run or newest_run("research start"), ResearchSettings, is_locked=True) as study:
        judge = Judge(read_documents_again(study.settings, None), study.settings.operations)
        print_or_discard(f"gain of the champion: {study.read_test(judge)}")
