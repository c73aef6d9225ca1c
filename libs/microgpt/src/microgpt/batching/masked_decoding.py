"""Decode sequences whose tokens are masked by a grammar, token by token.

As in other servers, the probabilities of the allowed tokens are scaled to a total of 1 at each
position. Each text fits the grammar, but the texts do not have the conditional distribution.
"""

import random
from collections.abc import Iterator
from itertools import product

from microgpt.batching.grammar import TokenMask
from microgpt.data.tokenizer import Tokenizer
from microgpt.engine.compiled_model import CompiledModel
from microgpt.engine.decoding.decoder import TokenReader
from microgpt.sampling import Continuation, Job, sample


def decode_masked(
    model: CompiledModel, tokenizer: Tokenizer, job: Job
) -> Iterator[tuple[int, Continuation]]:
    """Yield the number of a sequence and its next token, or its end, one sequence after another.

    Raises:
        PromptError: the grammar allows none of the tokens of the model, or a logit is not finite.
    """
    assert job.grammar is not None
    rules = job.rules
    for number, (prompt, seed) in enumerate(product(job.prompts, job.seeds)):
        n_most = rules.max_tokens or model.config.block_size - len(prompt) + 1
        mask, rng = TokenMask(job.grammar, tokenizer, rules.stop), random.Random(seed)
        reader = TokenReader(model, prompt, n_most)
        new: list[int] = []
        for _ in range(n_most):
            logits = reader.read(*new).tolist()
            token = sample(logits, sampling=rules.sampling, rng=rng, forbidden=mask.forbidden())
            if token in rules.stop:
                yield number, Continuation([], "stop", token)
                break
            mask.add(token)
            new = [token]
            yield number, Continuation([token], None)
        else:
            yield number, Continuation([], "length")
