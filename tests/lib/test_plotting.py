import pytest

from microgpt import plotting
from microgpt.errors import MicrogptError


def test_plot_says_which_package_is_missing(text_result, monkeypatch) -> None:
    monkeypatch.setattr(plotting, "plugin", lambda group, name: None)
    with pytest.raises(MicrogptError, match=r"pip install 'microgpt-cli\[plots\]'"):
        text_result.plot()
