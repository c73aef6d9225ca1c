"""Read a known text token by token with a KV cache.

Layout: a number per token of the vocabulary. See docs/performance.md#decoding.
Shapes: V = vocab_size.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from microgpt.config import Sampling
from microgpt.data.token_dataset import Tokens
from microgpt.engine.activations import log_softmax
from microgpt.engine.compiled_model import CompiledModel
from microgpt.engine.decoding.arrays import RUNNING
from microgpt.engine.decoding.decoder import Decoder
from microgpt.sampling import DecodeRules

GREEDY = Sampling(temperature=0)  # leaves the logits as they are


class TokenReader:
    """Reads a text that grows, and returns the log-probabilities after each token.

    They differ in rounding from those of `Predictor.log_probabilities`, which reads the text again.
    """

    def __init__(self, model: CompiledModel, prompt: Tokens, max_tokens: int) -> None:
        """Begin a text with a prompt of 1 to block_size tokens; max_tokens more can be read."""
        rules = DecodeRules(max_tokens=max_tokens + 1, sampling=GREEDY)
        self._vocab_size = model.config.vocab_size
        self._decoder = Decoder(model, [prompt], rules, max_slots=1)

    @property
    def n_read(self) -> int:
        """The number of tokens of the text so far."""
        return int(self._decoder.sequences.n_tokens[0])

    def read(self, token: int | None = None) -> NDArray[np.float64]:
        """Add a token, if any, and return the log-probabilities of the next one: (V).

        Raises:
            PromptError: a logit is not finite.
        """
        s: Any = self._decoder.sequences
        if token is not None:
            assert self.n_read + 1 < s.tokens.shape[1]  # the kernel does not check bounds
            s.tokens[0, self.n_read] = token
            s.n_tokens[0] += 1
        n = self.n_read
        s.status[0], s.goals[0] = RUNNING, n + 1  # sample one token, and discard it
        while self._decoder.run():
            pass
        self._decoder.check(0)
        s.n_tokens[0] = n
        return log_softmax(self._decoder.arrays.rows.logits[0, : self._vocab_size])
