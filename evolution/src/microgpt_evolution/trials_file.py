"""trials.jsonl: a line per trial, with a checksum, appended when the trial ends."""

from pathlib import Path
from zlib import crc32

from pydantic import TypeAdapter

from microgpt import cannot_write, read
from microgpt_evolution.errors import StudyError, raised_as
from microgpt_evolution.trial import TrialRecord

TRIALS = "trials.jsonl"
MAX_TRIALS_BYTES = 2**28  # enough for 400,000 lines without samples
CHECKSUM = b',"crc32":"'  # begins the last key of a line
RECORD = TypeAdapter(TrialRecord)
REMEDY = "remove the line and resume the study, which repeats the trial"


def read_trials(directory: Path) -> tuple[list[TrialRecord], int]:
    """Return the records of the complete lines, and the number of their bytes."""
    path = directory / TRIALS
    content = read(path, MAX_TRIALS_BYTES, StudyError)
    *lines, rest = content.split(b"\n")  # the last line is empty or incomplete
    records = []
    for number, line in enumerate(lines, start=1):
        with raised_as(StudyError, f"{path}, line {number}", f"; {REMEDY}"):
            if line + b"\n" != with_checksum(line.rpartition(CHECKSUM)[0] + b"}"):
                raise StudyError("crc32 differs, so the line was changed")
            records.append(RECORD.validate_json(line))
    return records, len(content) - len(rest)


def append_trial(directory: Path, record: TrialRecord, n_bytes: int) -> int:
    """Write a record after the complete lines, which have so many bytes; return the new number."""
    try:
        with (directory / TRIALS).open("r+b") as file:
            file.truncate(n_bytes)  # an incomplete line of a killed process
            file.seek(n_bytes)
            file.write(with_checksum(RECORD.dump_json(record, exclude_defaults=True)))
            return file.tell()
    except OSError as error:
        raise cannot_write(directory, error) from error


def with_checksum(record: bytes) -> bytes:
    """Return a line of trials.jsonl: a JSON object with its CRC-32 as the last key."""
    return record[:-1] + CHECKSUM + b'%08x"}\n' % crc32(record)
