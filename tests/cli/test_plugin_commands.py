import re
import sys

import pytest
from commands import ok, refused

SHOUT = '''"""`microgpt shout`: print a word in capitals."""

def shout(word: str) -> None:
    """Print a word in capitals."""
    print(word.upper())
'''


def test_a_command_of_another_package_is_listed_and_run(microgpt, install) -> None:
    install("loud", "commands", "shout = loud:shout", loud=SHOUT)
    listed = ok(microgpt("--help")).stdout
    assert re.search(r"\nloud:\n  shout +Print a word in capitals\.\n", listed)
    assert "loud" not in sys.modules
    assert ok(microgpt("shout", "anna")).stdout == "ANNA\n"
    assert "Print a word in capitals." in ok(microgpt("shout", "--help")).stdout
    assert "missing argument" in refused(microgpt("shout"))


def test_a_broken_command_names_its_package_and_stops_no_other(microgpt, install) -> None:
    install("loud", "commands", "shout = loud:shout", loud="import nosuchmodule")
    error = refused(microgpt("shout", "anna"))
    assert error.startswith("loud cannot be imported (ModuleNotFoundError: No module named")
    assert "uninstall this package" in error
    assert "\nloud:\n  shout " in ok(microgpt("--help")).stdout
    ok(microgpt("list"))


def test_a_command_of_two_packages_names_both(microgpt, install) -> None:
    install("loud", "commands", "train = loud:shout", loud=SHOUT)
    assert "loud and microgpt-cli both add train" in refused(microgpt("train"))
    ok(microgpt("--help"))
    ok(microgpt("list"))


@pytest.mark.parametrize(
    ("command", "package"),
    [
        ("evolve", "microgpt-evolution"),
        ("serve", "microgpt-serve"),
    ],
)
def test_a_founding_command_names_its_missing_package(microgpt, install, command, package) -> None:
    install(package, "commands", "")  # it hides the package of this name, and has no plug-ins
    assert f"\n  {command} " not in ok(microgpt("--help")).stdout
    error = refused(microgpt(command))
    assert f"the command {command} is in {package}, which is not installed" in error
    assert "install this package" in error


def test_shell_completion_lists_commands_and_options(microgpt) -> None:
    def completed(line: str) -> list[str]:
        word = str(line.count(" "))
        variables = {"COMP_WORDS": line, "COMP_CWORD": word, "_MICROGPT_COMPLETE": "complete_bash"}
        return microgpt(**variables).stdout.split()

    assert set(completed("microgpt exp")) == {"explain", "export"}
    assert completed("microgpt --hel") == ["--help"]
    assert completed("microgpt train --n-em") == ["--n-embd"]
