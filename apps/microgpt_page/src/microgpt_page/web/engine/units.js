// Find the texts that activate the hidden units of an MLP, and the effect of each unit.

import { product, withActivations } from "./activations.js";

const N_SHOWN = 3; // texts and tokens to show

/**
 * Return statistics of each hidden unit of a layer: the beginnings of texts after which it is most active,
 * the fraction of beginnings after which it is active, and the logits that it raises and lowers most.
 * @param {import("./model.js").Model} model
 */
export function unitsOf(model, tokenizer, /** @type {number[][]} */ texts, /** @type {number} */ layer) {
  const beginnings = new Map(); // hidden units by beginning
  for (const tokens of texts) {
    withActivations(model, tokens, (found) => {
      for (let i = 0; i < tokens.length - 1; i++) {
        beginnings.set(tokenizer.decode(tokens.slice(1, i + 1)), found.column("hidden", i, layer));
      }
    });
  }
  const { mlp_fc2: matrix, lm_head: head } = model.matrices;
  const labels = (tokens) => tokens.map((token) => tokenizer.label(token));
  return Array.from({ length: matrix.columns }, (_, unit) => {
    const values = [...beginnings].map(([text, hidden]) => ({ text, value: hidden[unit] }));
    const active = values.filter(({ value }) => value > 0).sort((a, b) => b.value - a.value);
    const output = Array.from({ length: matrix.rows }, (_, i) => matrix.layers[layer][i * matrix.columns + unit]);
    const logits = product(head, 0, output);
    const order = [...logits.keys()].sort((a, b) => logits[b] - logits[a]);
    return {
      active: active.slice(0, N_SHOWN).map(({ text }) => text),
      share: active.length / values.length,
      raised: labels(order.slice(0, N_SHOWN)),
      lowered: labels(order.slice(-N_SHOWN).reverse()),
    };
  });
}
