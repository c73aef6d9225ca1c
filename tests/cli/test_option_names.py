import json
from itertools import chain

import pytest
import typer
from commands import ok, refused
from typer.core import TyperGroup, TyperOption

from microgpt_cli.app import commands

OLD = {"--model-dir", "--input", "--lr"}


def options(command):
    """Yield the shown names of all options of a command and its subcommands."""
    yield from (name for param in command.params for name in param.opts)
    if isinstance(command, TyperGroup):
        for child in command.list_commands(None):
            yield from options(command.get_command(None, child))


def test_help_never_shows_an_old_option_name() -> None:
    root = typer.main.get_command(commands())
    assert OLD.isdisjoint(options(root))
    train = root.get_command(None, "train")
    names = {param.name: param.opts for param in train.params if isinstance(param, TyperOption)}
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
    meta = json.loads((tmp_path / "mine" / "meta.json").read_text())
    assert meta["training"]["lr"] == 0.005


def test_an_error_uses_the_new_name_of_an_option(microgpt) -> None:
    assert "--learning-rate must be a number" in refused(microgpt("train", "--lr", "fast"))
    done = microgpt("generate", "--output", "mine")  # an old name of train's --model only
    assert "no such option: --output" in done.stderr
