"""The command `microgpt`. It parses, prints and draws; what it does is done by the library."""
