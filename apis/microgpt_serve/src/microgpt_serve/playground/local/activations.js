// All activations of a forward pass. Equals engine/activations.py and engine/buffers.py.
//
// The numbers of a buffer have a row per feature and a column per token.

import { NOT_FINITE } from "./decoder.js";
import { EngineError } from "./errors.js";
import { LANES, float, padded } from "./memory.js";
import { QK_SCALE } from "./model.js";

/** Call a function with the activations of up to block_size tokens, whose memory is then freed. */
export function withActivations(model, tokens, use) {
  const { memory } = model;
  const { end } = memory;
  try {
    return use(new Activations(model, tokens));
  } finally {
    memory.release(end);
  }
}

class Activations {
  #model;
  #buffers;
  #n;

  /**
   * @param {import("./model.js").LocalModel} model
   * @param {number[]} tokens
   */
  constructor(model, tokens) {
    this.#model = model;
    this.#n = tokens.length;
    this.#buffers = newBuffers(model, this.#n);
    const { memory, evaluationWeights, architecture } = model;
    const dataset = [
      memory.arrayOf("int64", [...tokens, 0]), // of the last prediction, nothing is known
      memory.arrayOf("int64", [0, this.#n + 1]),
      memory.array("int8", [0]),
      memory.arrayOf("int64", [0, this.#n]),
      memory.array("float32", [0, 0]),
    ];
    const [losses, noRows] = [memory.array("float32", [this.#n]), memory.array("float32", [0, 0])];
    memory.call("evaluate", [
      evaluationWeights, Object.values(this.#buffers), dataset, losses, noRows, float(1),
      architecture, 0, this.#n,
    ]); // prettier-ignore
  }

  /** Return the log-probabilities of the next token after each token, from index `first` on. */
  logProbabilities(first = 0) {
    const rows = [];
    for (let i = first; i < this.#n; i++) rows.push(logSoftmax(this.#column("logits", i)));
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
    const embedded = this.#column("embedded", i);
    const [scale] = this.#column("embedded_scale", i);
    const found = { embedding: embedded.map((x) => x / scale), x: embedded };
    const qkScale = config.qk_norm ? QK_SCALE : 1;
    let x = embedded;
    for (let layer = 0; layer < L; layer++) {
      const of = (name) => this.#column(name, i, layer);
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
    if (config.final_norm) found.final_norm = this.#column("x", i);
    return { ...found, logits: this.#column("logits", i) };
  }

  /** Return the numbers of token i in a buffer. */
  #column(name, i, layer = 0) {
    const { numbers, shape, row } = this.#buffers[name];
    const rows = shape.at(-2);
    const start = layer * padded(rows) * row + i;
    return Array.from({ length: rows }, (_, feature) => numbers[start + feature * row]);
  }
}

/**
 * Return the logarithms of softmax.
 * @param {number[]} logits
 */
function logSoftmax(logits) {
  if (!logits.every(Number.isFinite)) throw new EngineError(NOT_FINITE);
  const peak = logits.reduce((most, x) => Math.max(most, x));
  const total = Math.log(logits.reduce((mass, x) => mass + Math.exp(x - peak), 0));
  return logits.map((x) => x - peak - total);
}

const sum = (a, b) => a.map((x, i) => x + b[i]);

/** Return the product of a matrix of a layer and a vector. */
const product = ({ rows, columns, layers }, layer, x) =>
  Array.from({ length: rows }, (_, row) =>
    x.reduce((total, each, i) => total + each * layers[layer][row * columns + i], 0),
  );

/** Return the arrays of `Buffers` for n tokens of one text, by name; see `buffer_shapes`. */
function newBuffers({ memory, config, layout }, n) {
  const { n_embd: C, n_head: H, n_layer: L } = config;
  const N = ((padded(n + LANES) / LANES) | 1) * LANES;
  const nVectors = padded(n) / LANES;
  const keysPerToken = (LANES * nVectors * (nVectors + 1)) / 2 / (LANES * (nVectors - 1) + 1);
  const isRotary = config.positions === "rotary";
  const sizes = {
    1: 1, 2: 2, n, "n + 1": n + 1, N, lanes: LANES, longest: padded(n),
    V: config.vocab_size, "T or 0": isRotary ? 0 : config.block_size,
    C, "3 C": 3 * C, "C // 2": Math.floor(C / 2), "padded C": padded(C),
    hidden: config.n_ff_exp * C, L, "L or 0": config.token_shift ? L : 0,
    "D or 0": isRotary ? C / H : 0, "2 H or 0": config.qk_norm ? 2 * H : 0,
    keys: H * Math.ceil(n * Math.max(LANES, keysPerToken)),
  }; // prettier-ignore
  const arrays = Object.entries(layout.buffers).map(([name, names]) => {
    const shape = names.map((each) => sizes[each]);
    const [rows, columns] = shape.slice(-2);
    const room = [...shape.slice(0, -2), padded(rows), columns]; // `transpose` processes square tiles
    const isInt = shape.length === 1;
    return [name, isInt ? memory.array("int64", shape) : memory.array("float32", shape, room)];
  });
  return Object.fromEntries(arrays);
}
