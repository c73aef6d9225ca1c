"""Evolution: genomes, what varies them, and what evaluates them."""
