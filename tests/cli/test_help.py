from collections import defaultdict
from collections.abc import Iterator

import typer
from typer.core import TyperArgument, TyperGroup

from microgpt_cli.app import commands

SAME = {"--json", "--scheduler", "--temperature", "--threads", "--workers", "--n-embd"} | {
    "--learning-rate"
}


def every_command() -> Iterator[tuple[str, typer.core.TyperCommand]]:
    groups = [("microgpt", typer.main.get_command(commands))]
    for name, group in groups:
        assert isinstance(group, TyperGroup)
        for child, command in group.commands.items():
            yield f"{name} {child}", command
            if isinstance(command, TyperGroup):
                groups.append((f"{name} {child}", command))


def test_the_summary_of_each_command_fits_on_its_line() -> None:
    for name, command in every_command():
        summary = command.get_short_help_str(limit=62)  # of 80 columns, beside "import-log"
        assert not summary.endswith("..."), name


def test_an_option_has_the_same_help_in_every_command() -> None:
    texts = defaultdict(set)
    for _, command in every_command():
        for param in command.params:
            for flag in SAME.intersection(param.opts):
                texts[flag].add(param.help)
    assert texts.keys() == SAME
    assert all(len(found) == 1 for found in texts.values()), texts


def test_every_option_and_argument_has_a_sentence_of_help() -> None:
    for name, command in every_command():
        for param in command.params:
            if getattr(param, "hidden", False) and not param.help:
                continue  # another way to give an argument
            text = (param.help or "").split("  [")[0]
            assert text.endswith("."), (name, param.name)
            assert text[0].isupper() or ":" in text, (name, param.name)


def test_the_usage_shows_arguments_in_capitals(microgpt) -> None:
    assert microgpt("report", "--help").stdout.startswith(
        "Usage: microgpt report [OPTIONS] [RUN]..."
    )
    assert microgpt("plot", "--help").stdout.startswith(
        "Usage: microgpt plot [OPTIONS] [MODEL]...\n"
    )
    for name, command in every_command():
        for param in command.params:
            if isinstance(param, TyperArgument):
                assert param.display_name_raw.isupper(), (name, param.name)
