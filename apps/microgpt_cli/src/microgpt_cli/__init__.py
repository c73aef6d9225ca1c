"""The `microgpt` command-line interface: options, output and progress."""
