"""`microgpt course`: write a GPT in exercises, and check them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from microgpt_cli.terminal.console import as_typed, note, print_or_discard, styled
from microgpt_cli.terminal.help import GroupedCommand, command_group
from microgpt_cli.terminal.options import argument, option
from microgpt_course.exercises import EXPERIMENTS, UNCHANGED, find, hints, names, solution

if TYPE_CHECKING:
    from microgpt_course.checking import CheckResult
    from microgpt_course.progress import CourseProgress

EXERCISE = argument(None, "Number or name.  [default: the first one not done]", "EXERCISE")
IN = option(None, "Directory of the exercises.  [default: ., else course]")
GOOD, BAD = "32", "1;31"  # ANSI styles: green, and bold red
LEAST_ACTIVE = 8  # minimum mean number of active hidden units, in the last experiment
NOISE = 0.02  # typical difference between the losses of two seeds, in nats per token
END = """\
All fourteen are done: you have written a GPT, and seen what its parts and its learning rate do.
Next: docs/change.md repeats these experiments with ten seeds; change a part yourself.
docs/measurements/loss.md says what a loss is worth, and docs/own_text.md how to train on your own
text."""

course = command_group("Write a GPT yourself, in fourteen exercises.")


@course.command(cls=GroupedCommand, epilog="microgpt course start && microgpt course check")
def start(
    directory: Path = argument(Path("course"), "New directory.", "DIR", show_default=True),
) -> None:
    """Write the exercises to a directory.

    Each exercise is a Python file, which explains a part of a GPT, but lacks the code. Open the
    first file in an editor, write the code, and run `microgpt course check`.
    """
    from microgpt_course import progress

    progress.start(directory)
    print_or_discard(f"Wrote {len(names())} exercises to {directory}/")
    check = as_typed(progress.command("check", directory))
    print_or_discard(f"Next: edit {directory / names()[0]}.py, then run: {check}")


@course.command(cls=GroupedCommand, epilog="microgpt course check\nmicrogpt course check 7")
def check(exercise: str | None = EXERCISE, directory: Path | None = IN) -> None:
    """Check what you have written.

    The first wrong number is shown, with the expected number and a question on the cause. The exit
    code is 0 if the exercise is right, and 1 if not. Your code runs in a separate process.
    """
    from microgpt_course.progress import file_hash, write_progress

    place, progress = _opened(directory)
    name = _exercise(exercise, progress)
    content = file_hash(place, name)
    facts = _checked(place, name).facts
    if name == EXPERIMENTS:
        _experiments(place, facts, progress)
    progress.done[name] = content
    write_progress(place, progress)
    print_or_discard(f"{name} is right; {len(progress.done)} of {len(names())} are done")
    if len(progress.done) == len(names()):
        print_or_discard(END)
    else:
        print_or_discard(f"Next: {place / _exercise(None, progress)}.py")


@course.command(cls=GroupedCommand, epilog="microgpt course hint")
def hint(exercise: str | None = EXERCISE, directory: Path | None = IN) -> None:
    """Print the next hint on an exercise.

    The first hint is vague; the last one is almost the answer.
    """
    from microgpt_course.progress import command, write_progress

    place, progress = _opened(directory)
    name = _exercise(exercise, progress)
    found = hints(name)
    n = min(progress.hints.get(name, 0) + 1, len(found))
    print_or_discard(f"{name}, hint {n} of {len(found)}: {found[n - 1]}")
    progress.hints[name] = n
    write_progress(place, progress)
    if n == len(found):
        shown = command(f"show {int(name[:2])}", place)
        note(f"that is the last hint; to see a solution, run: {shown}")


@course.command(cls=GroupedCommand, epilog="microgpt course show 3")
def show(exercise: str | None = EXERCISE, directory: Path | None = IN) -> None:
    """Print the solution of an exercise.

    Other solutions are right, too: the check compares results, not code.
    """
    print_or_discard(solution(_exercise(exercise, _opened(directory)[1])))


def _opened(given: Path | None) -> tuple[Path, "CourseProgress"]:
    """Return the exercises' directory (`given`, else . or ./course) and the learner's progress."""
    from microgpt_course.progress import DIRECTORY, PROGRESS, read_progress

    is_here = Path(PROGRESS).exists() or not (DIRECTORY / PROGRESS).exists()
    place = given or (Path() if is_here else DIRECTORY)
    return place, read_progress(place)


def _exercise(given: str | None, progress: "CourseProgress") -> str:
    if given is not None:
        return find(given)
    return next((name for name in names() if name not in progress.done), names()[-1])


def _experiments(place: Path, facts: dict[str, Any], progress: "CourseProgress") -> None:
    """Run the experiments that have no result yet, and print all results."""
    from microgpt_course.progress import write_progress

    rate, predictions = facts["rate"], facts["predictions"]
    for name, given in predictions.items():
        if type(given) not in (int, float):
            problem = f"the prediction of {name!r} is {given!r}; write a number, such as 0.1"
            _fail(problem, place, EXPERIMENTS)
    print_or_discard("experiment            you predicted  measured    loss  active of 64")
    for name in (UNCHANGED, *predictions, f"learning rate {rate}"):
        if name not in progress.results:
            note(f"training: {name}")
            progress.results[name] = tuple(_checked(place, EXPERIMENTS, name).facts["figures"])
            write_progress(place, progress)
        loss, active = progress.results[name]
        change = loss - progress.results[UNCHANGED][0]
        predicted = f"{predictions[name]:+.3f}" if name in predictions else ""
        row = f"{name:<20}  {predicted:>13}  {change:>+8.3f}  {loss:>6.3f}  {active:>12.1f}"
        print_or_discard(row)
    note(f"losses of two seeds differ by about {NOISE}, so smaller changes mean nothing")
    if active < LEAST_ACTIVE or change > NOISE:
        _fail(
            f"with my_rate = {rate}, {active:.1f} of 64 hidden units are active; it should be "
            f"{LEAST_ACTIVE} or more, with a loss that is no higher. How large are the steps?",
            place, EXPERIMENTS,
        )  # fmt: skip


def _checked(place: Path, name: str, experiment: str = "") -> "CheckResult":
    """Check a file and print the results; exit with code 1 if a result is wrong."""
    from microgpt_course.checking import check_file

    found = check_file(name, place / f"{name}.py", experiment)
    for label, line in found.shown:
        print_or_discard(f"  {styled(f'{label:7}', GOOD)}  {line}")
    if found.wrong:
        _fail(found.wrong, place, name)
    return found


def _fail(problem: str, place: Path, name: str) -> NoReturn:
    from microgpt_course.progress import command

    print_or_discard(f"  {styled('wrong  ', BAD)}  {problem}")
    note(f"edit {place / name}.py, or run: {command(f'hint {int(name[:2])}', place)}")
    raise typer.Exit(1)
