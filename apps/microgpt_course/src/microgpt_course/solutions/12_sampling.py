"""To generate text, draw the next token with its probability, let the model read it, and repeat.

Divide the logits by the temperature before softmax. Below 1, likely tokens become likelier still;
above 1, the choice becomes more even. A temperature of 0 means: always take the likeliest token.

    sample([1.0, 3.0, 2.0], 0, rng)     # 1
    sample([1.0, 3.0, 2.0], 0.5, rng)   # 1 in 87 %, 2 in 12 %, 0 in 2 % of the draws

Draw with one call of rng.choices(tokens, weights=probabilities); its result is a list of one token.

A sequence begins with BOS. `next_logits(tokens)` returns the logits after these tokens (all of
them, BOS included). Stop when BOS is drawn or when `longest` tokens have been drawn. Return the
drawn tokens, without BOS.
"""

from microgpt.model import softmax


def sample(logits, temperature, rng):
    """Return the number of a token, drawn with its probability."""
    # Your code goes here.
    if temperature == 0:
        return logits.index(max(logits))
    probabilities = softmax([logit / temperature for logit in logits])
    return rng.choices(range(len(logits)), weights=probabilities)[0]
    # End of your code.


def generate(next_logits, bos, longest, temperature, rng):
    tokens = [bos]
    # Your code: return the drawn tokens.
    while len(tokens) <= longest:
        token = sample(next_logits(tokens), temperature, rng)
        if token == bos:
            break
        tokens.append(token)
    return tokens[1:]
    # End of your code.
