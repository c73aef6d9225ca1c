"""The commands `report` and `plot`."""
