import re
from collections import defaultdict

from commands import every_command
from typer.core import TyperArgument

START = ["train", "generate", "chat", "play", "info", "course", "evolve", "serve"]
SAME = {"--json", "--temperature", "--threads", "--n-embd", "--learning-rate", "--me"}


def test_help_shows_first_commands_then_those_of_each_package(microgpt) -> None:
    wide = microgpt("--help", COLUMNS="80").stdout
    sections = re.findall(r"^(\S+):\n((?:  .+\n)+)", wide, re.M)
    first, *packages, last = (title for title, _ in sections)
    assert (first, packages, last) == ("Start", sorted(packages), "Options")
    assert "microgpt-cli" in packages
    installed = {name.split()[1] for name, _ in every_command()}
    named = [re.findall(r"^  (\w+) ", lines, re.M) for _, lines in sections[:-1]]
    assert named[0] == [name for name in START if name in installed]
    assert {name for each in named for name in each} == installed


def help_of(command, name, *, all_options=False) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    return command.help_of_all(context) if all_options else context.get_help()


def test_the_help_of_each_command_fits_on_one_screen(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name, command in every_command():
        lines = help_of(command, name).splitlines()
        assert max(map(len, lines)) <= 80, name
        assert len(lines) <= 42, name


def test_the_help_of_train_is_short_and_help_all_is_complete(microgpt) -> None:
    short, whole = (microgpt("train", flag).stdout for flag in ("--help", "--help-all"))
    names = re.findall(r"^  (--[\w-]+)", short, re.M)
    assert {"--data", "--model", "--minutes", "--steps"} <= {*names}
    assert len(names) <= 17
    assert len(re.findall(r"^    microgpt train", short, re.M)) == 3
    train = dict(every_command())["microgpt train"]
    for param in train.params:
        assert f"{param.opts[0]} " in whole, param.name
    assert "\nModel:\n" in whole


def test_shared_options_have_the_same_help_in_every_command() -> None:
    texts = defaultdict(set)
    for _, command in every_command():
        for param in command.params:
            for flag in SAME.intersection(param.opts):
                texts[flag].add(param.help.partition("  [default: ")[0])
    assert texts.keys() == SAME
    assert all(len(found) == 1 for found in texts.values()), texts


def test_the_help_of_every_option_and_argument_is_a_sentence() -> None:
    for name, command in every_command():
        for param in command.params:
            if getattr(param, "hidden", False) and not param.help:
                continue  # another way to give an argument
            text = (param.help or "").split("  [")[0]
            assert text.endswith("."), (name, param.name)
            assert text[0].isupper() or ":" in text, (name, param.name)


def test_the_usage_line_shows_arguments_in_capitals(microgpt) -> None:
    usage = "Usage: microgpt explain [OPTIONS] MODEL TEXT...\n"
    assert microgpt("explain", "--help").stdout.startswith(usage)
    for name, command in every_command():
        for param in command.params:
            if isinstance(param, TyperArgument):
                assert param.display_name_raw.isupper(), (name, param.name)
