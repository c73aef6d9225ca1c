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
def test_the_local_engine_passes_the_typescript_check() -> None:
    """As far as they are given, according to the compiler of TypeScript."""
    if not shutil.which("tsc"):
        pytest.skip("needs tsc")
    files = [file for file in LOCAL.glob("*.js") if file.name != "client.js"]  # it is of a page
    done = run_process(["tsc", *OPTIONS, *files])
    assert (done.returncode, done.stdout) == (0, "")
