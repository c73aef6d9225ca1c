"""The errors of evolution that a caller can do something about.

    MicrogptError
    └── GenomeError    a genome outside its ranges, or a genome.json that cannot be used

As in `microgpt.errors`, each message is one sentence for the user.
"""

from microgpt.errors import MicrogptError


class GenomeError(MicrogptError):
    """A genome is outside its ranges, or its file cannot be used."""
