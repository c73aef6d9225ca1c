"""What a search optimizes: a loss, or the scores of generated names.

"held-out" fitness is the loss on documents that are not used for training. "last-doc" fitness is
the loss on the last training document, as in evolve-rust; it is cheap to measure, but mostly noise.
"""

from typing import Literal

ObjectiveName = Literal["loss", "aesthetic", "hydra"]
Fitness = Literal["held-out", "last-doc"]
