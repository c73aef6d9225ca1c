import sys

import pytest

from microgpt import plugins
from microgpt.errors import MicrogptError
from microgpt.plugins import PluginError, find_plugins, plugin
from microgpt_cli.all_commands import summary


def test_a_plugin_is_found_by_name_and_imported_when_it_is_used(install) -> None:
    install("turns", "pages", "turn = turns:TAU", turns='"""A turn."""\nTAU = 6.28\n')
    found = find_plugins("pages")["turn"]
    assert (found.dist.name, summary(found)) == ("turns", "A turn.")
    assert "turns" not in sys.modules
    assert plugin("pages", "turn") == 6.28


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import nosuchmodule", "No module named 'nosuchmodule'"),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("this is no Python", "SyntaxError"),
        ("that = 1", "has no attribute 'it'"),
    ],
)
def test_the_error_for_a_broken_plugin_names_package_and_problem(install, text, problem) -> None:
    install("broken-package", "pages", "broken = broken:it", broken=text)
    with pytest.raises(PluginError) as error:
        plugin("pages", "broken")
    assert str(error.value).startswith("broken-package cannot be imported")
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


def test_the_error_for_two_plugins_with_the_same_name_names_both_packages(install) -> None:
    for package in ("first", "second"):
        install(package, "pages", "same = math:tau")
    with pytest.raises(PluginError, match="first and second both add same to pages; uninstall one"):
        plugin("pages", "same")


@pytest.mark.parametrize("entry", ["gone:it", "torn:it", "gone.part:it"])
def test_the_summary_of_a_broken_plugin_names_the_package_to_uninstall(install, entry) -> None:
    install("broken-package", "pages", f"broken = {entry}", torn="def")
    assert "uninstall broken-package" in summary(find_plugins("pages")["broken"])


def test_plotting_without_microgpt_cli_names_the_package(text_result, monkeypatch) -> None:
    monkeypatch.setattr(plugins, "plugin", lambda group, name: None)
    with pytest.raises(MicrogptError, match=r"pip install 'microgpt-cli\[plots\]'"):
        text_result.plot()
