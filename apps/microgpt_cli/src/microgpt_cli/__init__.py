"""The `microgpt` command: argument parsing, printing and drawing around the library."""
