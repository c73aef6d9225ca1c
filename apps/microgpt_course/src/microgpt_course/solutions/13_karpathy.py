"""Write the whole program: Karpathy's microgpt, on one page, with the standard library alone.

With the numbers below, your program prints his losses. Use what you have written so far. Value
also needs what you have imported so far: exp (its slope is the result), log (slope 1 / x) and relu
(slope 1 or 0). a - b is a + b * -1, and a / b is a * b ** -1. sum(values) begins with 0 + a Value,
which needs `__radd__`; -x needs `__neg__`; the float of a logit is its .data. You also need dot.

1. rng = random.Random(42). Read names.txt, which is beside this file: strip each line, omit empty
   ones. rng.shuffle(names). Tokens are characters, as in exercise 1.
2. n_embd 16, n_head 4, n_layer 1, block_size 16. Each weight is rng.gauss(0, 0.08), row by row, in
   this order: wte (27 rows of 16), wpe (16 of 16), lm_head (27 of 16), attn_wq, attn_wk, attn_wv,
   attn_wo (16 of 16 each), mlp_fc1 (64 of 16), mlp_fc2 (16 of 64).
3. The model, for one token: embedding, rmsnorm; x + attention(rmsnorm(x)); x + mlp(rmsnorm(x));
   logits = linear(x, lm_head). Attention: query, key and value are linear(rmsnorm(x), attn_wq), and
   so on. The first head uses numbers 0 to 3 of each, the second 4 to 7, and so on. The results of
   the heads, one after the other, go through linear(..., attn_wo). A token attends to itself and
   the earlier ones of its name.
4. 1,000 steps, one name each, in their shuffled order. Predict each token after the first from
   those before it (of the first 17 tokens, if a name is longer). The loss of a step is the mean of
   their cross-entropies. Set all gradients to 0, go backward, then take a step with Adam: beta1
   0.85, beta2 0.99, eps 1e-8, and in step s (from 0) the learning rate 0.01 * (1 - s / 1000).
   In each step, print a line that ends with the loss before the update:
   print(f"step {s + 1} loss {loss.data:.4f}")
5. Then twenty names: temperature 0.5, until BOS or 16 letters, with the same rng, for each
   print(f"sample {i + 1}: {name}").

`microgpt course check` compares the first 100 losses.
"""

# Your code goes here.
# End of your code.
