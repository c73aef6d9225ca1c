"""What these tests share: Node, and texts of all kinds."""

import os
import shutil

import pytest
from javascript import LOCAL, Node


@pytest.fixture(scope="session")
def node(tmp_path_factory) -> Node:
    """Node with the modules of the local engine. Without it, a test is skipped, or fails in CI."""
    program = shutil.which("node") or shutil.which("nodejs")
    if not program:
        if os.environ.get("CI"):
            pytest.fail("needs Node")
        pytest.skip("needs Node")
    folder = tmp_path_factory.mktemp("local")
    shutil.copytree(LOCAL, folder, dirs_exist_ok=True)
    (folder / "package.json").write_text('{"type": "module"}')  # a browser needs none
    return Node(program, folder)
