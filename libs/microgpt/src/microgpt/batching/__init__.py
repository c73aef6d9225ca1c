"""Batched decoding, stop strings and sample filters for the service and the command line."""
