"""`python -m microgpt_cli` is `microgpt`."""

from microgpt_cli.main import main

main()
