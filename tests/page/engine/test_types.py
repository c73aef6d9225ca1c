"""Check the type annotations in the comments of the page's engine."""

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
    """The TypeScript compiler checks the types in the comments of the engine."""
    if not shutil.which("tsc"):
        pytest.skip("needs tsc")
    done = run_process(["tsc", *OPTIONS, *ENGINE.glob("*.js")])
    assert (done.returncode, done.stdout) == (0, "")
