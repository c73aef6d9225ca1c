"""The types of the engine of the page, in its comments."""

import shutil

import pytest
from commands import run_process
from javascript import ENGINE

OPTIONS = (
    "--noEmit", "--allowJs", "--checkJs", "--strict", "--noImplicitAny", "false",
    "--target", "es2022", "--module", "es2022", "--lib", "es2022,dom,dom.iterable",
)  # fmt: skip


@pytest.mark.slow
def test_the_engine_passes_the_typescript_check() -> None:
    """As far as they are given, according to the compiler of TypeScript."""
    if not shutil.which("tsc"):
        pytest.skip("needs tsc")
    done = run_process(["tsc", *OPTIONS, *ENGINE.glob("*.js")])
    assert (done.returncode, done.stdout) == (0, "")
