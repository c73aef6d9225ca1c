// Compute and read all activations of a forward pass.
//
// A buffer has one row per feature and one column per token.

import { NOT_FINITE } from "./decoder.js";
import { EngineError } from "./errors.js";
import { LANES, padded } from "./memory.js";
import { QK_SCALE } from "./model.js";

/**
 * Call a function with the activations of up to block_size tokens, plus one token that is only predicted.
 * Then free their memory.
 */
export const withActivations = (model, tokens, use) =>
  model.evaluate([{ tokens }], (_, buffers) => use(new Activations(model, buffers, tokens.length - 1)));

class Activations {
  #model;
  #buffers;
  #n;

  /**
   * @param {import("./model.js").Model} model
   * @param {Record<string, import("./memory.js").KernelArray>} buffers
   * @param {number} n number of tokens
   */
  constructor(model, buffers, n) {
    this.#model = model;
    this.#buffers = buffers;
    this.#n = n;
  }

  /** Return the log-probabilities of the next token after each token, from index `first` on. */
  logProbabilities(first = 0) {
    const rows = [];
    for (let i = first; i < this.#n; i++) rows.push(logSoftmax(this.column("logits", i)));
    return rows;
  }

  /** Return how much token i attends to each token up to itself, in a head of a layer. */
  attention(layer, head, i) {
    const { numbers, shape } = this.#buffers.attn_weights;
    const nRows = (v) => (LANES * v * (v + 1)) / 2; // of the keys of the first v vectors of queries
    const first = head * nRows(padded(this.#n) / LANES) + nRows(Math.floor(i / LANES));
    const place = (layer * padded(shape[1]) + first) * LANES + (i % LANES);
    return Array.from({ length: i + 1 }, (_, j) => numbers[place + j * LANES]);
  }

  /** Return all activations of token i, from the embedding to the logits, in order. */
  at(i) {
    const { config, matrices } = this.#model;
    const { n_embd: C, n_layer: L } = config;
    const embedded = this.column("embedded", i);
    const [scale] = this.column("embedded_scale", i);
    const found = { embedding: embedded.map((x) => x / scale), x: embedded };
    const isKarpathys = config.architecture === "karpathy";
    const qkScale = isKarpathys ? 1 : QK_SCALE;
    let x = embedded;
    for (let layer = 0; layer < L; layer++) {
      const of = (name) => this.column(name, i, layer);
      const [qkv, heads, hidden] = [of("qkv"), of("attn_out"), of("hidden")];
      const fromAttention = product(matrices.attn_wo, layer, heads);
      const fromMlp = product(matrices.mlp_fc2, layer, hidden);
      const between = sum(x, fromAttention);
      x = sum(between, fromMlp);
      const steps = {
        attention_input: of("attn_norm"),
        query: qkv.slice(0, C).map((each) => qkScale * each), // the kernel scales the dot products
        key: qkv.slice(C, 2 * C).map((each) => qkScale * each),
        value: qkv.slice(2 * C),
        attention: Array.from({ length: config.n_head }, (_, head) => this.attention(layer, head, i)),
        heads,
        attention_output: fromAttention,
        x_after_attention: between,
        mlp_input: of("mlp_norm"),
        hidden,
        mlp_output: fromMlp,
        x,
      };
      for (const [name, numbers] of Object.entries(steps)) found[`layer${layer}.${name}`] = numbers;
    }
    if (!isKarpathys) found.logits_input = this.column("x", i);
    found.logits = this.column("logits", i);
    if (!Object.values(found).flat(2).every(Number.isFinite)) throw new EngineError(NOT_FINITE);
    return found;
  }

  /** Return the keys and the values of all tokens in a layer. */
  earlier(/** @type {number} */ layer) {
    const { n_embd: C, architecture } = this.#model.config;
    const scale = architecture === "karpathy" ? 1 : QK_SCALE;
    const rows = Array.from({ length: this.#n }, (_, i) => this.column("qkv", i, layer));
    return {
      key: rows.map((row) => row.slice(C, 2 * C).map((each) => scale * each)),
      value: rows.map((row) => row.slice(2 * C)),
    };
  }

  /** Return the numbers of token i in a buffer. */
  column(/** @type {string} */ name, /** @type {number} */ i, layer = 0) {
    const { numbers, shape, row } = this.#buffers[name];
    const rows = shape[shape.length - 2];
    const start = layer * padded(rows) * row + i;
    return Array.from({ length: rows }, (_, feature) => numbers[start + feature * row]);
  }
}

/** Return the logarithms of softmax. */
export function logSoftmax(/** @type {number[]} */ logits) {
  if (!logits.every(Number.isFinite)) throw new EngineError(NOT_FINITE);
  const peak = logits.reduce((most, x) => Math.max(most, x));
  const total = Math.log(logits.reduce((mass, x) => mass + Math.exp(x - peak), 0));
  return logits.map((x) => x - peak - total);
}

const sum = (a, b) => a.map((x, i) => x + b[i]);

/** Return the product of a matrix of a layer and a vector. */
export const product = ({ rows, columns, layers }, layer, x) =>
  Array.from({ length: rows }, (_, row) =>
    x.reduce((total, each, i) => total + each * layers[layer][row * columns + i], 0),
  );
