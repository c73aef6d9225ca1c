"""Run `microgpt` as `python -m microgpt_cli`."""

from microgpt_cli.main import command

command()
