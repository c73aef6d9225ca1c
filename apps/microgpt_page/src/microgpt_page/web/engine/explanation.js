// Explain the predictions of the model at each position of a text. JavaScript version of surprise.py.

import { withActivations } from "./activations.js";
import { countedOf } from "./backward.js";
import { edited } from "./edits.js";
import { windows } from "./dataset.js";
import { EngineError } from "./errors.js";
import { heldOutLoss } from "./evaluation.js";
import { together } from "./together.js";

const N_CHANGES = 3; // number of tokens to list whose probability a part raises or lowers most
const inBits = (nats) => nats / Math.LN2;

/**
 * Return the explanation of all tokens except the first.
 * @param {import("./model.js").Model} model
 * @param {number[]} tokens
 * @param {{top: number, attention: [number, number][], position?: number, earlier?: number, ablations?: boolean, backward?: any, step?: any, unfinished?: boolean}} wanted
 * @param {boolean} hasEnd whether the end of the text counts, as it does not in running text
 */
export function explain(model, tokenizer, tokens, wanted, hasEnd) {
  const { top, attention, position, ablations, backward, earlier } = wanted;
  const n = tokens.length - 1;
  const { block_size: size } = model.config;
  if (n > size && (attention.length || position !== undefined || ablations || backward)) {
    throw new EngineError(
      `the text has ${n} tokens with the start token; use at most ${size}, the context of the model`,
    );
  }
  const predictions = logProbabilities(model, tokens, hasEnd).map((row, i) =>
    prediction(tokenizer, tokens[i + 1], row, top),
  );
  const scored = hasEnd && !wanted.unfinished ? predictions : predictions.slice(0, -1);
  const found = {
    bits: scored.reduce((total, each) => total + each.bits, 0),
    n_scored: scored.length,
    predictions,
    read: tokens.slice(0, -1).map((token) => tokenizer.label(token)),
    attention: {},
    activations: {},
    ablations: ablations ? ablate(model, tokenizer, tokens, wanted, hasEnd) : [],
    backward: {},
  };
  if (attention.length || position !== undefined) {
    withActivations(model, tokens, (activations) => {
      for (const [layer, head] of attention) {
        const rows = predictions.map((_, i) => activations.attention(layer, head, i));
        found.attention[`${layer}.${head}`] = rows;
      }
      if (position !== undefined) found.activations = activations.at((position + n) % n);
      if (earlier === undefined) return;
      found.earlier = activations.earlier(earlier);
      found.together = together(model, found.activations);
    });
  }
  return found;
}

/** Return the effect of each head and of each MLP, by layer. */
function ablate(model, tokenizer, tokens, wanted, hasEnd) {
  const { position, step } = wanted;
  const n = tokens.length - 1;
  const own = logProbabilities(model, tokens, true);
  const counted = countedOf(step, tokenizer, tokens);
  if (!hasEnd || wanted.unfinished) counted[n - 1] = 0;
  const isAny = counted.some(Boolean);
  const total = (rows) =>
    rows.reduce((sum, row, i) => sum + (isAny && !counted[i] ? 0 : inBits(-row[tokens[i + 1]])), 0);
  const bits = total(own);
  return Array.from(withoutEach(model), ({ layer, head }) => {
    const rows = logProbabilities(model, tokens, true);
    const found = { layer, head, bits, bits_without: total(rows), came: null, raised: [], lowered: [] };
    if (position === undefined) return found;
    const at = (position + n) % n;
    const changes = own[at].map((log, token) => ({
      token,
      text: tokenizer.label(token),
      probability: Math.exp(log),
      without: Math.exp(rows[at][token]),
    }));
    const order = changes.slice().sort((a, b) => a.without - a.probability - b.without + b.probability);
    const raised = order.slice(0, N_CHANGES).filter((each) => each.probability > each.without);
    const lowered = order.slice(-N_CHANGES).reverse().filter((each) => each.probability < each.without); // prettier-ignore
    return { ...found, came: changes[tokens[at + 1]], raised, lowered };
  });
}

/** Return the mean loss of texts with and without each head and MLP, by layer; there may be no texts. */
export function lossesWithout(model, /** @type {number[][]} */ texts) {
  if (!texts.length) return [];
  const chunks = texts.map((tokens) => ({ tokens }));
  const loss = heldOutLoss(model, chunks);
  return Array.from(withoutEach(model), (part) => ({ ...part, loss, without: heldOutLoss(model, chunks) }));
}

/** Yield each layer with each head, "all" or null (its MLP), while the model runs without that part. */
function* withoutEach(model) {
  const { n_layer: L, n_head: H } = model.config;
  const weights = model.packed.flat();
  const heads = [...Array(H).keys()];
  for (let layer = 0; layer < L; layer++) {
    for (const head of [...heads, "all", null]) {
      const without = (head === "all" ? heads : [head]).map((each) => [layer, each]);
      const body = head === null ? { without_mlps: [layer] } : { without_heads: without };
      model.setWeights(edited(model.config, weights, body));
      yield { layer, head };
    }
  }
  model.setWeights(weights);
}

/** Return the log-probabilities of each token except the first. */
function logProbabilities(model, tokens, hasEnd) {
  const chunks = windows(tokens, model.config.block_size, undefined, hasEnd ? undefined : tokens[0]);
  return chunks.flatMap(({ tokens: part, mask }) =>
    withActivations(model, part, (found) => found.logProbabilities(mask ? mask.indexOf(1) - 1 : 0)),
  );
}

/** Return the prediction of a token from the log-probabilities of all tokens. */
function prediction(tokenizer, token, row, top) {
  const tokens = [...row.keys()].sort((a, b) => row[b] - row[a]).slice(0, top);
  const about = (token) => ({ token, text: tokenizer.label(token), probability: Math.exp(row[token]) });
  return {
    ...about(token),
    bits: inBits(-row[token]),
    alternatives: tokens.map(about),
  };
}
