"""The page of a microgpt model: one HTML document with the model and its engine."""
