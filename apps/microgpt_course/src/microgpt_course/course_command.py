"""`microgpt course`: write a GPT in exercises, and check them."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from microgpt_cli.terminal.console import note, print_or_discard, styled
from microgpt_cli.terminal.help import GroupedCommand, command_group
from microgpt_cli.terminal.options import argument, option
from microgpt_course.exercises import EXPERIMENTS, UNCHANGED, find, hints, names, solution

if TYPE_CHECKING:
    from microgpt_course.checking import CheckResult
    from microgpt_course.progress import CourseProgress

DIRECTORY = Path("course")  # default directory
EXERCISE = argument(None, "Number or name.  [default: the first that is not done]", "EXERCISE")
IN = option(None, f"Directory of the exercises.  [default: ., else {DIRECTORY}]")
GOOD, BAD = "32", "1;31"  # ANSI styles

course = command_group("Write a GPT yourself, in twelve exercises and a program.")


@course.command(cls=GroupedCommand, epilog="microgpt course start && microgpt course check")
def start(
    directory: Path = argument(DIRECTORY, "New directory.", "DIR", show_default=True),
) -> None:
    """Write the exercises to a directory.

    Each exercise is a Python file: it explains a part of a GPT and lacks its code. Open the first
    file in an editor, write the code, and run `microgpt course check`.
    """
    from microgpt_course import progress

    progress.start(directory)
    print_or_discard(f"Wrote {len(names())} exercises to {directory}/")
    print_or_discard(f"Next: edit {directory / names()[0]}.py, then run: microgpt course check")


@course.command(cls=GroupedCommand, epilog="microgpt course check\nmicrogpt course check 7")
def check(exercise: str | None = EXERCISE, directory: Path | None = IN) -> None:
    """Check what you have written.

    The first number that differs is shown, with what it should be and where to look. The exit
    code is 0 if the exercise is right, and 1 if not. Your code runs in a process of its own.
    """
    from microgpt_course.progress import file_hash, write_progress

    place, progress = _opened(directory)
    for name in names():
        if name in progress.done and file_hash(place / f"{name}.py") != progress.done[name]:
            del progress.done[name]  # changed since its check
    name = _exercise(exercise, progress)
    content = file_hash(place / f"{name}.py")
    if name == EXPERIMENTS:
        _experiments(place, progress)
    else:
        _checked(place, name)
    progress.done[name] = content
    write_progress(place, progress)
    print_or_discard(f"{name} is right; {len(progress.done)} of {len(names())} are done")
    if (following := _exercise(None, progress)) != name:
        print_or_discard(f"Next: {place / following}.py")


@course.command(cls=GroupedCommand, epilog="microgpt course hint")
def hint(exercise: str | None = EXERCISE, directory: Path | None = IN) -> None:
    """Print the next hint on an exercise.

    The hints go from vague to almost the answer.
    """
    from microgpt_course.progress import write_progress

    place, progress = _opened(directory)
    name = _exercise(exercise, progress)
    found = hints(name)
    n = min(progress.hints.get(name, 0) + 1, len(found))
    if not found:
        print_or_discard(f"{name} has no hints")
        return
    print_or_discard(f"{name}, hint {n} of {len(found)}: {found[n - 1]}")
    progress.hints[name] = n
    write_progress(place, progress)
    if n == len(found):
        note("that is the last hint; to see a solution, run: microgpt course show")


@course.command(cls=GroupedCommand, epilog="microgpt course show 3")
def show(exercise: str | None = EXERCISE, directory: Path | None = IN) -> None:
    """Print the solution of an exercise.

    A solution is one of many: the check compares results, not code.
    """
    print_or_discard(solution(_exercise(exercise, _opened(directory)[1])))


def _opened(given: Path | None) -> tuple[Path, "CourseProgress"]:
    """Return the learner's directory, the given one or else . or ./course, and its record."""
    from microgpt_course.progress import PROGRESS, read_progress

    is_here = Path(PROGRESS).exists() or not (DIRECTORY / PROGRESS).exists()
    place = given or (Path() if is_here else DIRECTORY)
    return place, read_progress(place)


def _exercise(given: str | None, progress: "CourseProgress") -> str:
    if given is not None:
        return find(given)
    return next((name for name in names() if name not in progress.done), names()[-1])


def _experiments(place: Path, progress: "CourseProgress") -> None:
    """Run the experiments that have a prediction and no result, and print all results."""
    from microgpt import ConfigError
    from microgpt_course.progress import write_progress

    predictions = _checked(place, EXPERIMENTS).predictions
    print_or_discard(f"{'experiment':<26}  {'you predicted':>13}  {'measured':>8}  {'loss':>6}")
    for name, prediction in predictions.items():
        if name not in progress.figures:
            if prediction is None:
                continue
            if isinstance(prediction, bool) or not isinstance(prediction, int | float):
                raise ConfigError(f"the prediction of {name!r} is {prediction!r}; use a number")
            for each in (UNCHANGED, name):
                if each not in progress.figures:
                    note(f"training: {each}, about 20 seconds")
                    loss = _checked(place, EXPERIMENTS, each).figure
                    progress.figures[each] = (float(prediction), loss)
                    write_progress(place, progress)
        predicted, loss = progress.figures[name]
        change = loss - progress.figures[UNCHANGED][1]
        print_or_discard(f"{name:<26}  {predicted:>+13.3f}  {change:>+8.3f}  {loss:>6.3f}")
    left = [name for name in predictions if name not in progress.figures]
    if left:
        note(f"write a prediction of {left[0]!r} in {place / EXPERIMENTS}.py, then check again")
        raise typer.Exit(1)
    note("other seeds differ by about 0.02, so only larger changes mean something")


def _checked(place: Path, name: str, experiment: str = "") -> "CheckResult":
    """Check a file and print what was found; exit if something is wrong."""
    from microgpt_course.checking import check_file

    path = place / f"{name}.py"
    outcome = check_file(name, path, experiment)
    for line in outcome.printed:
        print_or_discard(f"  printed: {line}")
    for fact in outcome.right:
        print_or_discard(f"  {styled('right', GOOD)}  {fact}")
    if outcome.wrong:
        print_or_discard(f"  {styled('wrong', BAD)}  {outcome.wrong}")
        number = name.split("_")[0]
        note(f"edit {path}{f', or run: microgpt course hint {int(number)}' if hints(name) else ''}")
        raise typer.Exit(1)
    return outcome
