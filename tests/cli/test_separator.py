import json

import pytest

RECIPES = "Tea\nwater\nWait.\n%\nToast\nbread\nToast it.\n%\nSalad\nleaves\nMix.\n"
SMALL = ("--steps", "20", "--n-embd", "8", "--n-layer", "1", "-n", "1")


@pytest.fixture
def recipes(tmp_path):
    (tmp_path / "recipes.txt").write_text(RECIPES)
    return "recipes.txt"


def test_training_on_multi_line_documents_can_be_resumed(microgpt, recipes, tmp_path) -> None:
    done = microgpt("train", "--data", recipes, "--separator", "%", *SMALL)
    assert done.stdout.startswith("num docs: 3\n")
    more = microgpt("train", "--resume", "output", "--steps", "30", "-n", "0")
    assert more.returncode == 0, more.stderr
    told = json.loads(microgpt("eval", "--data", recipes, "--separator", "%", "--json").stdout)
    assert told["n_docs"] == 3


def test_info_repeats_the_separator_in_the_command_to_train(microgpt, recipes) -> None:
    told = microgpt("info", "--data", recipes, "--separator", "%")
    assert "documents:          3; no duplicates" in told.stdout
    assert "microgpt train --separator % --data recipes.txt" in told.stderr
