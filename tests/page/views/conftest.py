"""Fixtures for the tests of the views: one HTML document per model."""

from pathlib import Path
from typing import Any

import pytest
from page_in_browser import document_of


def _document_of(name: str) -> Any:
    """Return the fixture `name`: the HTML document of the model of `{name}_result`."""

    @pytest.fixture(scope="session", name=name)
    def file(request, tmp_path_factory) -> Path:
        result = request.getfixturevalue(f"{name}_result")
        return document_of(result, tmp_path_factory.mktemp("documents") / name)

    return file


names, talk, subword = map(_document_of, ["names", "talk", "subword"])
