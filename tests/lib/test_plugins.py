from importlib import metadata

from microgpt import plugins


def test_a_plugin_is_loaded_by_its_name(monkeypatch) -> None:
    found = [metadata.EntryPoint("a", "math:tau", "x")]
    monkeypatch.setattr(metadata, "entry_points", lambda **_: found)
    assert plugins.plugin("pages", "a") == 6.283185307179586


def test_a_plugin_that_no_package_has_is_none() -> None:
    assert plugins.plugin("pages", "none") is None
