// What the heads look at, on average over texts.

import { withActivations } from "./activations.js";

const N_APART = 3; // from this position on, the start is none of the last three tokens
const CONSONANT = /^[bcdfghjklmnpqrstvwxz]$/i;

/**
 * Return facts on each head: its layer, and the shares of its attention that go to the token itself, the one
 * before, the one two before, those further back, the start, and consonants wherever they are.
 * @param {import("./model.js").Model} model
 */
export function headsOf(model, tokenizer, /** @type {number[][]} */ texts) {
  const { n_layer: L, n_head: H, vocab_size: V } = model.config;
  const isConsonant = Array.from({ length: V }, (_, token) => CONSONANT.test(tokenizer.label(token)));
  const heads = Array.from({ length: L * H }, (_, i) => {
    return { layer: Math.floor(i / H), head: i % H, shares: [0, 0, 0, 0, 0, 0] };
  });
  let n = 0;
  for (const tokens of texts) {
    withActivations(model, tokens, (found) => {
      for (let i = N_APART; i < tokens.length - 1; i++) {
        n += 1;
        for (const { layer, head, shares } of heads) {
          const weights = found.attention(layer, head, i);
          const near = [weights[i], weights[i - 1], weights[i - 2]];
          const back = weights.slice(1, i - 2).reduce((sum, each) => sum + each, 0);
          const consonants = weights.reduce((sum, each, j) => sum + (isConsonant[tokens[j]] ? each : 0), 0);
          [...near, back, weights[0], consonants].forEach((each, place) => (shares[place] += each));
        }
      }
    });
  }
  return n ? heads.map((each) => ({ ...each, shares: each.shares.map((sum) => sum / n) })) : [];
}
