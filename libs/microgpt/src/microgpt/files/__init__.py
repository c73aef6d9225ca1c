"""Files that are written whole or not at all, locked, and read within bounds."""
