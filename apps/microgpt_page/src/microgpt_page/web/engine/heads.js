// Average the attention of the heads over texts.

import { withActivations } from "./activations.js";

const N_APART = 3; // from this position on, the first token is not one of the last three
const N_SEEN = 40; // least number of times that a token could be attended to
const MORE = 1.3; // least ratio to the usual attention for a token that a head prefers

/** Return the class of the distance from token i to token j: 0, 1, 2, at least 3, or 4 for the first token. */
const placeOf = (i, j) => (j ? Math.min(i - j, 3) : 4);

/**
 * Return statistics of each head: its layer, the fraction of its attention at each distance, and the labels of
 * the tokens that it prefers: they get more attention than their distance explains.
 * @param {import("./model.js").Model} model
 */
export function headsOf(model, tokenizer, /** @type {number[][]} */ texts) {
  const { n_layer: L, n_head: H, vocab_size: V } = model.config;
  const heads = Array.from({ length: L * H }, (_, i) => {
    return { layer: Math.floor(i / H), head: i % H, sums: [0, 0, 0, 0, 0], taken: new Float64Array(V) };
  });
  const seen = heads[0].sums.map(() => new Float64Array(V)); // how often each token was at each distance
  for (const tokens of texts) {
    withActivations(model, tokens, (found) => {
      for (let i = N_APART; i < tokens.length - 1; i++) {
        tokens.slice(0, i + 1).forEach((token, j) => seen[placeOf(i, j)][token]++);
        for (const { layer, head, sums, taken } of heads) {
          found.attention(layer, head, i).forEach((weight, j) => {
            sums[placeOf(i, j)] += weight;
            taken[tokens[j]] += weight;
          });
        }
      }
    });
  }
  const total = (numbers) => numbers.reduce((sum, each) => sum + each, 0);
  const counts = seen.map(total);
  return (counts[0] ? heads : []).map(({ layer, head, sums, taken }) => {
    const usual = (token) => total(seen.map((each, place) => each[token] && (each[token] * sums[place]) / counts[place]));
    const times = Array.from(taken, (sum, token) => sum / usual(token));
    const compared = [...times.keys()].filter((token) => total(seen.map((each) => each[token])) >= N_SEEN);
    const preferred = compared.filter((token) => times[token] >= MORE).sort((a, b) => times[b] - times[a]);
    const shares = sums.map((sum) => sum / counts[0]);
    return { layer, head, shares, preferred: preferred.map((token) => tokenizer.label(token)) };
  });
}
