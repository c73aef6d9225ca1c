// What the heads look at, on average over texts.

import { withActivations } from "./activations.js";

const N_APART = 3; // from this position on, the start is none of the last three tokens
const N_SHOWN = 3; // tokens
const LEAST = 0.01; // of the attention that a token would get from heads without preferences

/**
 * Return facts on each head, by layer: which shares of its attention go to the token itself, the one before,
 * the one two before, and the start; and which tokens get most, compared with equal attention.
 * @param {import("./model.js").Model} model
 */
export function headsOf(model, tokenizer, /** @type {number[][]} */ texts) {
  const { n_layer: L, n_head: H, vocab_size: V } = model.config;
  const equal = new Float64Array(V); // what each token would get
  const all = Array.from({ length: L * H }, (_, i) => {
    const place = { layer: Math.floor(i / H), head: i % H };
    return { ...place, sums: [0, 0, 0, 0], got: new Float64Array(V) };
  });
  let n = 0; // positions from N_APART on
  for (const tokens of texts) {
    withActivations(model, tokens, (found) => {
      for (let i = 0; i < tokens.length - 1; i++) {
        n += Number(i >= N_APART);
        for (const token of tokens.slice(0, i + 1)) equal[token] += 1 / (i + 1);
        for (const { layer, head, sums, got } of all) {
          const weights = found.attention(layer, head, i);
          weights.forEach((weight, j) => (got[tokens[j]] += weight));
          if (i >= N_APART) [i, i - 1, i - 2, 0].forEach((j, place) => (sums[place] += weights[j]));
        }
      }
    });
  }
  if (!n) return [];
  const total = equal.reduce((sum, each) => sum + each, 0);
  const common = [...equal.keys()].filter((token) => token !== texts[0][0] && equal[token] >= LEAST * total);
  return all.map(({ layer, head, sums, got }) => {
    const ratio = (token) => got[token] / equal[token];
    const order = common.filter((token) => ratio(token) > 1).sort((a, b) => ratio(b) - ratio(a));
    const preferred = order.slice(0, N_SHOWN).map((token) => tokenizer.label(token));
    return { layer, head, shares: sums.map((each) => each / n), preferred };
  });
}
