"""microgpt's own routes."""
