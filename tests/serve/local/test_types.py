"""The types of the local engine, in its comments."""

import shutil

import pytest
from commands import run_process
from javascript import LOCAL

OPTIONS = (
    "--noEmit", "--allowJs", "--checkJs", "--strict", "--noImplicitAny", "false",
    "--target", "es2022", "--module", "es2022", "--lib", "es2022,dom,dom.iterable",
)  # fmt: skip


@pytest.mark.slow
def test_the_types_of_the_local_engine_are_right() -> None:
    """As far as they are given, according to the compiler of TypeScript."""
    if not shutil.which("tsc"):
        pytest.skip("needs tsc")
    done = run_process(["tsc", *OPTIONS, LOCAL / "worker.js"])
    assert (done.returncode, done.stdout) == (0, "")
