"""Write, read and import logs in evolve-rust's format."""
