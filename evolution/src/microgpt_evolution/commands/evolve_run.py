"""Run or resume a search by generations of `microgpt evolve`, and save the winner."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from microgpt import Given, Split, cannot_write, count, split
from microgpt_cli.terminal.console import print_or_discard, say
from microgpt_evolution.commands import winner
from microgpt_evolution.commands.progress import StudyProgress
from microgpt_evolution.commands.study import Documents, open_study
from microgpt_evolution.generation_search import SearchEvent, run_search
from microgpt_evolution.search_log import describe, winner_table
from microgpt_evolution.strategies.population import count_species, rank
from microgpt_evolution.study_settings import HELD_OUT, SearchSettings, facts_of


def run(given: Given) -> None:
    """Run or resume a search."""

    def plan(docs: Documents, facts: dict[str, Any], _: int) -> tuple[SearchSettings, Split]:
        parts = split(docs, validation=HELD_OUT, test=HELD_OUT)
        facts |= {**facts_of(parts), "warm_start": ancestor}
        return SearchSettings.begin(given, **facts), parts

    ancestor = winner.ancestor_of(given, "add --minutes or --budget", is_budgeted=False)
    model_dir = winner.model_directory(given)
    is_saved = partial(winner.is_saved, directory=model_dir)
    opened = open_study(given, SearchSettings, plan, text="lines", is_saved=is_saved)
    with opened as (study, parts, pool):
        settings = study.settings
        print_or_discard(
            f"Search: {settings.objective}, {settings.generations} generations, population "
            f"{settings.population}, seed {settings.seed}, {count(pool.n_workers(), 'worker')}; "
            f"run: {study.directory}"
        )
        with StudyProgress() as progress:
            log = _log_to(study.log, progress)
            follow = _trace if "trace" in given else _follow
            on_event = partial(follow, progress, settings.fitness_mark)
            result = run_search(parts, pool, study, log, on_event)
            progress.stop()
        winner.write_if_better(result.record, force="force" in given)
        assert result.winner.evaluation
        for line in winner_table(result.winner.evaluation, result.fresh, settings):
            log(line)
        for name in result.names:
            log(f"> {name}")
        if model_dir and not winner.is_saved(study.directory, model_dir):
            winner.train_winner(study, model_dir)


def _trace(_: StudyProgress, mark: str, event: SearchEvent) -> None:
    """Print a line for each organism that has been evaluated."""
    if event.organism:
        say(describe(event.organism, mark))


def _follow(progress: StudyProgress, mark: str, event: SearchEvent) -> None:
    """Show the champions, the species and the time left of a search, and the first failures."""
    search = event.search
    if (new := event.organism) and new.evaluation and new.evaluation.status != "diverged":
        progress.remark(f"organism {new.id}", new.evaluation)
    ranked = {name: each.generations for name, each in search.populations.items()}
    bests = ((name, rank([first for first, *_ in found])) for name, found in ranked.items())
    best = ", ".join(f"{name} {found[0].worth:.4f}{mark}" for name, found in bests if found)
    n_species = len(count_species(search.organisms))
    figures = f"{best or 'no champion yet'} | {n_species} species"
    if search.stagnation is not None:
        figures += f", stagnation {search.stagnation}"
    progress.update(event.n_measured, event.n_left, figures)


def _log_to(path: Path, progress: StudyProgress) -> Callable[[str], None]:
    """Return a function that writes a line to the log and prints it in place of the progress.

    It raises CheckpointError if the log cannot be written.
    """
    mode = "w"

    def log(line: str) -> None:
        nonlocal mode
        progress.stop()
        print_or_discard(line)
        try:
            with path.open(mode, encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{line}\n")
        except OSError as error:
            raise cannot_write(path.parent, error) from error
        mode = "a"

    return log
