"""Decode sequences whose tokens are masked by a grammar.

As in other servers, the probabilities of the allowed tokens are scaled to a total of 1 at each
position. The texts fit the grammar, but do not have the conditional distribution of the model.
"""

import random
from itertools import product

from microgpt.batching.grammar import GrammarMatcher
from microgpt.data.tokenizer import Tokenizer
from microgpt.engine.compiled_model import CompiledModel
from microgpt.engine.decoding.decoder import TokenReader
from microgpt.errors import PromptError
from microgpt.sampling import Continuation, Job, sample
from microgpt.steps import Steps


def decode_masked(
    model: CompiledModel, tokenizer: Tokenizer, grammar: str, job: Job
) -> Steps[list[Continuation]]:
    """Return the continuations of a job; each token is a step.

    Raises:
        PromptError: the grammar allows none of the tokens of the model, or a logit is not finite.
    """
    rules, V, found = job.rules, tokenizer.vocab_size, list[Continuation]()
    names = [name if isinstance(name, bytes) else name.encode() for name in tokenizer.names]
    for token in tokenizer.special_ids:
        names[token] = b""
    for prompt, seed in product(job.prompts, job.seeds):
        n_most = rules.max_tokens or model.config.block_size - len(prompt) + 1
        matcher = GrammarMatcher(grammar, tuple(names), tuple(rules.stop))
        reader, rng = TokenReader(model, prompt, n_most), random.Random(seed)
        new, text = list[int](), Continuation([], "length")
        while len(text.tokens) < n_most:
            if (mask := matcher.mask()) is None:
                what = "requires a character that is not in the vocabulary of the model"
                raise PromptError(f"response_format {what}")
            forbidden = {token for token in range(V) if not mask[token >> 3] >> (token & 7) & 1}
            logits = reader.read(*new).tolist()
            token = sample(logits, sampling=rules.sampling, rng=rng, forbidden=forbidden)
            yield
            if token in rules.stop:
                text = Continuation(text.tokens, "stop", token)
                break
            matcher.add(token)
            new = [token]
            text.tokens.append(token)
        found.append(text)
    return found
