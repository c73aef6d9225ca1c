"""The directory of a run, with the settings and evaluations needed to resume the run.

    .lock                lock file, held while a process executes the run
    run.json             the settings and the version of microgpt
    evaluations.jsonl    one line per evaluation, appended when the evaluation ends

A resumed run starts from the beginning and reuses the recorded evaluations.
"""

import json
import os
import shutil
from abc import abstractmethod
from collections.abc import Hashable, Iterator, Set
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, Self, TypeVar

from pydantic import Field, ValidationError

from microgpt import (
    MAX_SEED,
    ConfigError,
    DirectoryLock,
    as_argument,
    cannot_write,
    first_problem,
    publish,
)
from microgpt_evolution.errors import GenomeError, RunError
from microgpt_evolution.organism import Evaluation, Trial
from microgpt_evolution.runs.run_files import (
    EVALUATIONS,
    REMEDY,
    RUN,
    Stored,
    directory_of,
    encode_run,
    new_directory,
    read_settings,
    whole_lines,
    with_checksum,
    with_settings,
)

USE = "being searched"  # inserted into the error message about a locked directory


class Kind(NamedTuple):
    """A kind of run, such as a search or a sweep."""

    title: str
    command: str  # creates such runs
    resume: str  # resumes them; followed by the directory


SEARCH = Kind("search", "microgpt evolve", "microgpt evolve --resume")
BUDGETED = SEARCH._replace(title="search with a budget")
SWEEP = Kind("sweep", "microgpt sweep", "microgpt sweep resume")
# A key in the settings tells the kind; a search has none of these.
KEYS = {"sweep": SWEEP, "budget": BUDGETED}


InputPath = Annotated[str, Field(pattern=r"^[^\x00]+$")]  # of the documents when the run began
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Count = Annotated[int, Field(ge=1)]


class RunSettings(Stored):
    """Base class of the settings of a run, as stored in run.json."""

    kind: ClassVar[Kind]
    genomes: ClassVar[str]  # the field with genomes, for error messages
    derived: ClassVar[Set[str]] = frozenset()  # fields that follow from the others

    @classmethod
    def parse(cls, settings: dict[str, object], directory: Path) -> Self:
        """Parse the settings of a run; raise RunError if damaged or of a different kind."""
        if (kind := kind_of(settings)) != cls.kind:
            raise RunError(
                f"{directory} is a {kind.title}, not a {cls.kind.title}; use a run of "
                f"{cls.kind.command}"
            )
        where = f"{directory / RUN}: settings"
        try:
            return cls.model_validate_json(json.dumps(settings))
        except ValidationError as error:
            raise RunError(f"{where}.{first_problem(error)}") from error
        except GenomeError as error:
            raise RunError(f"{where}.{cls.genomes}: {error}") from error
        except ConfigError as error:
            raise RunError(f"{where}: {error}") from error


class Line(Stored):
    """Base class of the lines of evaluations.jsonl; each has the evaluation of a trial."""

    @classmethod
    @abstractmethod
    def of(cls, trial: Trial[Any], evaluation: Evaluation, *, flops: Any, n_params: int) -> Self:
        """Return the line of an evaluation, with the cost and the size of the training run."""

    @staticmethod
    def key_of(trial: Trial[Any]) -> Hashable:
        """Return the key of a trial's line."""
        return trial.config, trial.seed

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """Key that identifies the line; a later line with the same key replaces it."""

    @property
    @abstractmethod
    def evaluation(self) -> Evaluation:
        """The evaluation, with the values that the search or the sweep uses."""

    @property
    def is_final(self) -> bool:
        """Whether a resumed run reuses the line; false if it depends on the machine."""
        return True

    @classmethod
    def parse(cls, content: bytes, where: str, settings: RunSettings | None = None) -> Self:
        """Parse a line; raise RunError with the location on failure."""
        try:
            line = cls.model_validate_json(content)
        except (ValidationError, GenomeError, ConfigError) as error:
            problem = first_problem(error) if isinstance(error, ValidationError) else error
            raise RunError(f"{where}: {problem}; {REMEDY}") from error
        if settings and (reason := line.problem(settings)):
            raise RunError(f"{where}: {reason}; {REMEDY}")
        return line

    def encode(self) -> bytes:
        """Encode the line as JSON."""
        return self.model_dump_json().encode()

    def problem(self, settings: RunSettings) -> str | None:
        """Return the reason why a run with these settings cannot use the line, or None."""
        return None


def kind_of(settings: dict[str, object]) -> Kind:
    """Return the kind of a run with these settings."""
    return next((kind for key, kind in KEYS.items() if key in settings), SEARCH)


def kind_at(path: Path) -> Kind:
    """Return the kind of a run, given its directory or log file; raise RunError if damaged."""
    return kind_of(read_settings(directory_of(path)))


S = TypeVar("S", bound=RunSettings)
L = TypeVar("L", bound=Line)


class RunDirectory(Generic[S, L]):
    """The records of one run, locked until `close`. The log file is next to the directory.

    A subclass names the types of the settings and of the lines.
    """

    settings_type: type[S]
    line_type: type[L]

    def __init__(self, directory: Path, settings: S, lock: DirectoryLock | None = None) -> None:
        self.directory, self.settings = directory, settings
        self.log = directory.with_name(f"{directory.name}.log")
        self._lines: dict[Hashable, L] = {}
        self._lock = lock

    @classmethod
    def begin(cls, folder: Path, name: str, settings: S, *, is_stamped: bool = True) -> Self:
        """Create the records of a new run; see `new_directory` for the arguments."""
        files = {EVALUATIONS: b"", RUN: encode_run(settings.model_dump(mode="json"))}
        directory = new_directory(folder, name, files, is_stamped=is_stamped)
        try:
            return cls(directory, settings, DirectoryLock(directory, USE))
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the records of a run, given the run directory or its log file.

        Raises:
            RunError: the run is missing, damaged or of another kind.
            CheckpointError: another process holds the lock, or the directory is not writable.
        """
        directory = directory_of(path)
        facts = read_settings(directory)
        kind, wanted = kind_of(facts), cls.settings_type.kind
        if kind != wanted:
            raise RunError(
                f"{path} is a {kind.title}, not a {wanted.title}; resume it with: {kind.resume} "
                f"{as_argument(path)}"
            )
        settings = cls.settings_type.parse(facts, directory)
        # Lock before removing an incomplete last line: another process may still be writing it.
        run = cls(directory, settings, DirectoryLock(directory, USE))
        try:
            n_bytes = sum(len(line) + 1 for _, line in run._read_lines())
            os.truncate(directory / EVALUATIONS, n_bytes)
        except OSError as error:
            run.close()
            raise cannot_write(directory, error) from error
        except BaseException:
            run.close()
            raise
        return run

    @classmethod
    @contextmanager
    def at(cls, run_dir: str | os.PathLike[str] | None, settings: S) -> Iterator[Self]:
        """Yield the records of a new or resumed run in a directory (default: a temporary one).

        Raises:
            ConfigError: the directory has a run with different settings.
        """
        with ExitStack() as stack:
            folder = run_dir or Path(stack.enter_context(TemporaryDirectory()), "run")
            directory = Path(folder)
            if os.path.lexists(directory):
                run = cls.open(directory)
            else:
                run = cls.begin(directory.parent, directory.name, settings, is_stamped=False)
            stack.enter_context(run)
            for name in type(settings).model_fields:
                new, old = getattr(settings, name), getattr(run.settings, name)
                if new != old and name not in settings.derived:
                    raise ConfigError(
                        f"{name} is {new!s:.80}, but the run in {directory} has {old!s:.80}; use "
                        "another run_dir"
                    )
            yield run

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the records of a run that may be running, without the incomplete last line.

        Raises:
            RunError: the run is missing, damaged or of another kind.
        """
        directory = directory_of(path)
        run = cls(directory, cls.settings_type.parse(read_settings(directory), directory))
        run._read_lines()
        return run

    def close(self) -> None:
        """Release the lock."""
        if self._lock:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def lines(self) -> tuple[L, ...]:
        """The last line of each key, in order of completion."""
        return tuple(self._lines.values())

    @property
    def n_known(self) -> int:
        """The number of recorded evaluations that a resumed run reuses."""
        return sum(line.is_final for line in self.lines)

    @property
    def n_recorded(self) -> int:
        """The number of evaluations in the file; after an interrupt, it can be `n_known` + 1."""
        return len(whole_lines(self.directory))

    def final(self, key: Hashable) -> L | None:
        """Return the recorded line with a key, or None if the trial must still be run."""
        line = self._lines.get(key)
        return line if line and line.is_final else None

    def known(self, trial: Trial[Any]) -> Evaluation | None:
        """Return the recorded evaluation of a trial, or None if the trial must still be run."""
        line = self.final(self.line_type.key_of(trial))
        return line.evaluation if line else None

    def add(self, trial: Trial[Any], evaluation: Evaluation, *, flops: Any, n_params: int) -> None:
        """Append an evaluation; raise CheckpointError if it cannot be written."""
        line = self.line_type.of(trial, evaluation, flops=flops, n_params=n_params)
        try:
            with (self.directory / EVALUATIONS).open("ab") as file:
                file.write(with_checksum(line.encode()))
        except OSError as error:
            raise cannot_write(self.directory, error) from error
        self._lines[line.key] = line

    def change(self, settings: S) -> None:
        """Replace the settings in run.json; raise CheckpointError if it cannot be written."""
        content = with_settings(self.directory, settings.model_dump(mode="json"))
        publish(self.directory, {RUN: content})
        self.settings = settings

    def _read_lines(self) -> list[tuple[str, bytes]]:
        """Read the complete lines; return them with their locations."""
        located = whole_lines(self.directory)
        lines = (self.line_type.parse(line, where, self.settings) for where, line in located)
        self._lines = {line.key: line for line in lines}
        return located
