import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.errors import CheckpointError
from microgpt.training.history_file import HISTORY, HistoryPoint, encode_history, read_history

LOSSES = st.floats(allow_nan=False, allow_infinity=False)
POINTS = st.lists(
    st.builds(
        HistoryPoint, step=st.integers(1, 2**31 - 1), loss=LOSSES, val_loss=st.none() | LOSSES
    ),
    unique_by=lambda point: point.step,
).map(lambda points: tuple(sorted(points, key=lambda point: point.step)))

GOOD = b'{"step": 50, "loss": 2.75}\n'


def written(directory: Path, content: bytes) -> Path:
    """Return a model directory that has such a history."""
    (directory / HISTORY).write_bytes(content)
    return directory


@given(POINTS)
def test_a_loss_history_is_read_back_exactly(points: tuple[HistoryPoint, ...]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        found = read_history(written(Path(directory), encode_history(points)))
    assert found == points
    # -0.0 and 0.0 are equal, but not the same
    assert encode_history(found) == encode_history(points)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"step": 100, "lo', "line 3: invalid JSON: EOF while parsing a string at column"),
        (b'{"step": 100}', "line 3: loss: field required"),
        (b'{"step": 100.5, "loss": 2.5}', "line 3: step: input should be a valid integer, got"),
        (b'{"step": 100, "loss": NaN}', "line 3: loss: input should be a finite number, got nan"),
        (b'{"step": 50, "loss": 2.5}', "line 3: step 50 follows step 50; steps must increase"),
        (b'\xff{"step": 100, "loss": 2.5}', "line 3: invalid JSON"),
    ],
)
def test_the_error_for_a_damaged_line_names_file_and_line(
    tmp_path: Path, line: bytes, problem: str
) -> None:
    with pytest.raises(CheckpointError) as caught:
        read_history(written(tmp_path, GOOD + b"\n" + line + b"\n"))
    assert str(caught.value).startswith(f"{tmp_path / HISTORY}, line 3: ")
    assert problem in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_held_out_loss_is_stored_only_where_it_was_measured() -> None:
    lines = encode_history([HistoryPoint(50, 2.75), HistoryPoint(100, 2.5, val_loss=2.625)])
    assert lines == GOOD + b'{"step": 100, "loss": 2.5, "val_loss": 2.625}\n'
