import json
from itertools import chain

import pytest
from commands import every_command, ok, refused
from trainings import training_of

OLD = {"--model-dir", "--input", "--lr"}


def test_help_never_shows_an_old_option_name() -> None:
    every = dict(every_command())
    params = [param for command in every.values() for param in command.params]
    assert OLD.isdisjoint(name for param in params for name in param.opts)
    names = {param.name: param.opts for param in every["microgpt train"].params}
    assert names["output"] == ["--model"]
    assert names["num_samples"] == ["--num-samples", "-n"]


@pytest.mark.parametrize(
    "names",
    [
        ("--model", "--data", "--learning-rate", "-n"),
        ("--output", "--input", "--lr", "--num-samples"),
    ],
)
def test_train_accepts_new_and_old_option_names(microgpt, tmp_path, names) -> None:
    (tmp_path / "names.txt").write_text("anna\nemma\nava\n")
    values = ("mine", "names.txt", "0.005", "1")
    options = chain.from_iterable(zip(names, values, strict=True))
    found = json.loads(ok(microgpt("train", *options, "--steps", "2", "--json")).stdout)
    assert (found["output"], found["num_docs"], len(found["samples"])) == ("mine", 3, 1)
    assert training_of(tmp_path / "mine")["lr"] == 0.005


def test_an_error_uses_the_new_name_of_an_option(microgpt) -> None:
    assert "--learning-rate must be a number" in refused(microgpt("train", "--lr", "fast"))
    done = microgpt("generate", "--output", "mine")  # an old name of train's --model only
    assert "no such option: --output" in done.stderr
