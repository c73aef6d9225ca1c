"""Each package can be torn out: `.ci/tear_out` runs what is left."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KEPT = {"libs/microgpt", "apps/microgpt_cli"}
FOLDERS = [*ROOT.glob("libs/*"), *ROOT.glob("ap?s/*"), ROOT / "evolution"]
PACKAGES = {str(folder.relative_to(ROOT)) for folder in FOLDERS} - KEPT


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_the_other_packages_install_train_and_generate(package, tmp_path) -> None:
    script = [sys.executable, ROOT / ".ci/tear_out", package, tmp_path / "copy"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
