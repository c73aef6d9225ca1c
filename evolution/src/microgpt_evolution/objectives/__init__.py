"""How an organism is trained and scored."""
