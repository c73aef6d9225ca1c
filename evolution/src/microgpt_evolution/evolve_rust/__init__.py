"""The log format of evolve-rust: written, read and imported."""
