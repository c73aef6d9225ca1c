"""Progress of a search on stderr, as a table on a terminal, and its log."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Self

from microgpt.amounts import duration
from microgpt.files.atomic_files import cannot_write
from microgpt_cli.terminal.console import print_or_discard, say
from microgpt_cli.terminal.progress import N_LINES, short, stop_display, time_left
from microgpt_evolution.evolve_rust import trace
from microgpt_evolution.organism import Organism
from microgpt_evolution.search.runner import Listener, SearchEvent, SearchRunner

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.live import Live

REDRAWS_PER_SECOND = 4
N_FAILURES = 3  # maximum number of printed failures; the run records all of them
LABEL = 12  # width of the label column, including trailing space


class ProgressLines(Listener):
    """Progress of a search without a terminal: at most N_LINES lines on stderr."""

    def __init__(self, generations: int) -> None:
        self._generations, self._shown, self._current = generations, 0, 0
        self._n_failed = 0

    def evaluated(self, run: SearchRunner, organism: Organism) -> None:
        """Print a line for an organism that crashed or was refused, up to N_FAILURES times."""
        evaluation = organism.evaluation
        if evaluation and evaluation.status in ("crashed", "refused"):
            self._n_failed += 1
            if self._n_failed <= N_FAILURES:
                say(trace.done(organism))

    def update(self, event: SearchEvent) -> None:
        """Print a line when another tenth of the search is complete."""
        if event.stage == "generation":
            self._current = event.generation
        ended = self._current - (event.stage == "generation")
        tenth = ended * N_LINES // self._generations
        if tenth > self._shown:
            self._shown = tenth
            best = ", ".join(f"{name} {o.worth:.4f}" for name, o in event.champions.items())
            say(f"generation {ended} / {self._generations} | best: {best or 'none'}")


class SearchTable:
    """Progress table of a search. The elapsed time is also updated between events."""

    def __init__(self, generations: int, console: "Console") -> None:
        self._generations, self._console = generations, console
        self._event: SearchEvent | None = None
        self._started, self._n_evaluated = perf_counter(), 0
        self._live: Live | None = None

    def stop(self) -> None:
        """Hide the table until the next update."""
        live, self._live = self._live, None
        if live:
            stop_display(live, self._console)

    def update(self, event: SearchEvent) -> None:
        """Show the state of the search after an event."""
        from rich.live import Live

        before, self._event = self._event, event
        if before and event.n_done > before.n_done and event.stage == before.stage:
            self._n_evaluated += 1
        if self._live:
            return
        self._live = Live(  # restarting the stopped table would overwrite later lines
            get_renderable=self._lines,
            console=self._console,
            transient=True,
            refresh_per_second=REDRAWS_PER_SECOND,
            redirect_stdout=False,  # otherwise rich sends the log to stderr
            redirect_stderr=False,
        )
        self._live.start(refresh=True)

    def _lines(self) -> "Group":
        from rich.console import Group
        from rich.text import Text

        assert self._event
        return Group(
            *(
                Text.assemble((f"{name:{LABEL}}", "cyan"), value, no_wrap=True, overflow="ellipsis")
                for name, value in self._rows(self._event)
            )
        )

    def _rows(self, event: SearchEvent) -> list[tuple[str, str]]:
        measured = f"{event.n_done} of {event.n_all} organisms"
        if event.stage == "primordial":
            return [("generation", "0, to set the target"), *self._pace(event)]
        if event.stage == "again":
            measured = f"retesting the finalists, {event.n_done} of {event.n_all} runs"
        champions = [(name.lower(), _champion(best)) for name, best in event.champions.items()]
        diversity = f"{event.n_species} species"
        if event.stagnation is not None:
            diversity += f", stagnation {event.stagnation}"
        return [
            ("generation", f"{event.generation} of {self._generations}: {measured}"),
            *(champions or [("champion", "none yet")]),
            ("diversity", diversity),
            *self._pace(event),
        ]

    def _pace(self, event: SearchEvent) -> list[tuple[str, str]]:
        seconds = perf_counter() - self._started
        rate = self._n_evaluated / seconds if seconds else 0.0
        n_left = event.n_all - event.n_done + event.n_later
        pace = f"about {time_left(n_left, rate)}, {short(rate)} organisms/s"
        return [("time", f"{duration(round(seconds))}, {pace}")]


def _champion(organism: Organism) -> str:
    genes = " ".join(organism.genome.describe().split())
    return f"{organism.worth:.4f} [{organism.origin}] {genes}"


class SearchLog:
    """Writes lines to the log file and stdout, and hides the table while printing."""

    def __init__(self, path: Path, table: SearchTable | None) -> None:
        self._path, self._table = path, table
        with self._writing():
            self._file = path.open("w", encoding="utf-8", errors="backslashreplace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_table()
        with suppress(OSError):  # write errors have already been reported
            self._file.close()

    def __call__(self, line: str) -> None:
        """Print and write a line; raise CheckpointError if the log cannot be written."""
        self.stop_table()
        print_or_discard(line)
        self.write(line)

    def write(self, line: str) -> None:
        """Write a line to the file only; raise CheckpointError on failure."""
        with self._writing():
            self._file.write(f"{line}\n")
            self._file.flush()

    def stop_table(self) -> None:
        """Hide the table until the next update."""
        if self._table:
            self._table.stop()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise cannot_write(self._path.parent, error) from error
