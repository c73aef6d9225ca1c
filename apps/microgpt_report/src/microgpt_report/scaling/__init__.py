"""Tables, charts and JSON of scaling studies."""
