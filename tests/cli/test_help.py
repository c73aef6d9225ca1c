import re

from commands import every_command

START = ["train", "generate", "chat", "play", "info", "course", "evolve", "serve"]


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


def test_the_help_of_each_command_fits_on_one_screen(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name, command in every_command():
        context = command.make_context(name, [], resilient_parsing=True)
        lines = context.get_help().splitlines()
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
        assert param.opts[0] in whole, param.name
    assert "\nModel:\n" in whole
