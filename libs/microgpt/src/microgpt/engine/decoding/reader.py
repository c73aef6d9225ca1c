"""Read a known text token by token with a KV cache.

Layout: a number per token of the vocabulary. See docs/performance.md#decoding.
Shapes: V = vocab_size.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from microgpt.config import ModelConfig, Sampling
from microgpt.data.token_dataset import Tokens
from microgpt.engine.activations import log_softmax
from microgpt.engine.compiled_model import CompiledModel
from microgpt.engine.decoding.arrays import RUNNING, DecodeArrays, allocate_cache, allocate_rows
from microgpt.engine.decoding.decoder import MAX_ROWS, Decoder, context_bytes, shortened
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
        shape = shortened(model.config, len(prompt) + max_tokens)
        arrays = DecodeArrays(
            allocate_cache(shape, model.dtype, 1),
            allocate_rows(shape, model.dtype, min(MAX_ROWS, len(prompt))),
        )
        self._decoder = Decoder(model, [prompt], rules, max_slots=1, arrays=arrays)

    @property
    def n_read(self) -> int:
        """The number of tokens of the text so far."""
        return int(self._decoder.sequences.n_tokens[0])

    def read(self, *tokens: int) -> NDArray[np.float64]:
        """Add tokens, if any, and return the log-probabilities of the next one: (V).

        Several tokens at once must fit into the context.

        Raises:
            PromptError: a logit is not finite.
        """
        s: Any = self._decoder.sequences
        n = self.n_read + len(tokens)
        assert n < s.tokens.shape[1]  # the kernel does not check bounds
        s.tokens[0, self.n_read : n] = tokens
        s.n_tokens[0] = n
        s.status[0], s.goals[0] = RUNNING, n + 1  # sample one token, and discard it
        while self._decoder.run():
            pass
        self._decoder.check(0)
        s.n_tokens[0] = n
        return log_softmax(self._decoder.arrays.rows.logits[0, : self._vocab_size])


def reader_bytes(model: ModelConfig, dtype: str, n_tokens: int) -> int:
    """Return about how much memory a reader of up to n_tokens tokens takes."""
    return context_bytes(shortened(model, n_tokens), dtype)
