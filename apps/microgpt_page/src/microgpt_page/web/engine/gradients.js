// Compute the gradients of all activations and weights for one text.
//
// A list contains one array of numbers per token.

import { logSoftmax, product } from "./activations.js";
import { QK_SCALE } from "./model.js";

/** @typedef {ArrayLike<number>[]} Rows */

/**
 * Return the gradients for a text whose last token is only predicted: by name, the gradient of each activation
 * of each token; and the two factors of the gradient of each matrix.
 * @param {import("./model.js").Model} model
 * @param {any} found the activations
 * @param {number[]} tokens
 * @param {number[]} counted 1 for each prediction that counts, else 0
 */
export function gradients(model, found, tokens, counted) {
  const { config, matrices: w } = model;
  const { n_embd: C, n_layer: L, architecture } = config;
  const isKarpathys = architecture === "karpathy";
  const n = tokens.length - 1;
  const rows = (name, layer = 0) => Array.from({ length: n }, (_, i) => found.column(name, i, layer));
  const streams = [];
  let x = rows("embedded");
  for (let layer = 0; layer < L; layer++) {
    const between = sum(x, times(w.attn_wo, layer, rows("attn_out", layer)));
    streams.push([x, between]);
    x = sum(between, times(w.mlp_fc2, layer, rows("hidden", layer)));
  }
  const share = 1 / counted.reduce((total, each) => total + each);
  const dlogits = rows("logits").map((row, i) =>
    logSoftmax(row).map((y, token) => (Math.exp(y) - Number(token === tokens[i + 1])) * counted[i] * share),
  );
  /** @type {Record<string, any[]>} */
  const grads = { logits: dlogits };
  /** @type {Record<string, Rows[]>} */
  const factors = { lm_head: [isKarpathys ? x : x.map(normalized), dlogits] };
  let dx = back(w.lm_head, 0, dlogits);
  if (!isKarpathys) {
    grads.logits_input = dx;
    dx = dx.map((each, i) => rmsnormBackward(each, x[i]));
  }
  for (let layer = L - 1; layer >= 0; layer--) {
    const [before, between] = streams[layer];
    const [hidden, input] = [rows("hidden", layer), rows("mlp_norm", layer)];
    const dhidden = back(w.mlp_fc2, layer, dx);
    const slope = isKarpathys ? (h) => Number(h > 0) : (h) => 2 * Math.sqrt(h);
    const dsum = dhidden.map((row, i) => row.map((each, j) => each * slope(hidden[i][j])));
    const dinput = back(w.mlp_fc1, layer, dsum);
    const half = architecture === "modern" ? C / 2 : 0;
    const own = dinput.map((row, i) => row.map((each, j) => (j < half ? (dinput[i + 1]?.[j] ?? 0) : each)));
    const dbetween = sum(dx, own.map((row, i) => rmsnormBackward(row, between[i]))); // prettier-ignore
    const [heads, read] = [rows("attn_out", layer), rows("attn_norm", layer)];
    const dheads = back(w.attn_wo, layer, dbetween);
    const { dqkv, shown } = attentionBackward(model, found, layer, dheads, read);
    const dread = back(w.attn_wqkv, layer, dqkv);
    const here = {
      attention_input: dread, ...shown, heads: dheads, attention_output: dbetween,
      x_after_attention: dbetween, mlp_input: dinput, hidden: dhidden, mlp_output: dx, x: dx,
    }; // prettier-ignore
    for (const [name, each] of Object.entries(here)) grads[`layer${layer}.${name}`] = each;
    const [dq, dk, dv] = [0, 1, 2].map((i) => dqkv.map((row) => row.subarray(i * C, (i + 1) * C)));
    const products = {
      attn_wq: [read, dq], attn_wk: [read, dk], attn_wv: [read, dv], attn_wo: [heads, dbetween],
      mlp_fc1: [input, dsum], mlp_fc2: [hidden, dx],
    }; // prettier-ignore
    for (const [name, pair] of Object.entries(products)) factors[`layer${layer}.${name}`] = pair;
    dx = sum(dbetween, dread.map((row, i) => rmsnormBackward(row, before[i]))); // prettier-ignore
  }
  grads.x = dx;
  const scales = rows("embedded_scale");
  grads.embedding = rows("embedded").map((row, i) =>
    rmsnormBackward(
      dx[i],
      row.map((each) => each / scales[i][0]),
    ),
  );
  return { grads, factors: { ...factors, ...tables(config, tokens, grads.embedding) } };
}

/** Return the gradient of a matrix from its factors. */
export function gradientOf([inputs, outputs]) {
  const columns = inputs[0].length;
  const found = new Float64Array(columns * outputs[0].length);
  outputs.forEach((row, i) =>
    row.forEach((each, j) => {
      for (let k = 0; each && k < columns; k++) found[j * columns + k] += each * inputs[i][k];
    }),
  );
  return found;
}

/** Return the factors of the gradients of the embeddings; see `_tables`. */
function tables(config, tokens, dembedding) {
  const { n_embd: C, block_size: size, vocab_size: V, architecture } = config;
  const one = (length, at) => Float64Array.from({ length }, (_, i) => Number(i === at));
  const read = dembedding.map((_, i) => one(V, tokens[i]));
  /** @type {Record<string, Rows[]>} */
  const found = {};
  if (architecture === "karpathy") found.wpe = [dembedding, read.map((_, i) => one(size, i))];
  const shifted = architecture === "modern" ? dembedding.slice(1) : [];
  const turned = shifted.map((row) => row.map((_, i) => row[(i + C / 2) % C]));
  found.wte = [[...dembedding, ...turned], [...read, ...read.slice(0, turned.length)]]; // prettier-ignore
  return found;
}

/** Return the gradients of queries, keys, values and attention, and of the matrix products. */
function attentionBackward({ config, matrices, rates }, found, layer, dheads, read) {
  const { n_embd: C, n_head: H, architecture } = config;
  const isKarpathys = architecture === "karpathy";
  const D = C / H;
  const scale = isKarpathys ? 1 : QK_SCALE;
  const qkv = read.map((_, i) =>
    found.column("qkv", i, layer).map((each, j) => (j < 2 * C ? scale * each : each)),
  );
  const grads = read.map(() => new Float64Array(3 * C));
  const attention = read.map((_, i) =>
    Array.from({ length: H }, (_, head) => {
      const weights = found.attention(layer, head, i);
      const [start, end] = [head * D, (head + 1) * D];
      const dweights = weights.map((_, j) => dot(dheads[i].slice(start, end), qkv[j].slice(2 * C + start)));
      const mean = dot(weights, dweights);
      weights.forEach((weight, j) => {
        const dscore = (weight * (dweights[j] - mean)) / Math.sqrt(D);
        for (let at = start; at < end; at++) {
          grads[i][at] += dscore * qkv[j][C + at];
          grads[j][C + at] += dscore * qkv[i][at];
          grads[j][2 * C + at] += weight * dheads[i][at];
        }
      });
      return dweights;
    }),
  );
  const part = (i) => grads.map((row) => row.slice(i * C, (i + 1) * C));
  const shown = { query: part(0), key: part(1), value: part(2), attention };
  if (isKarpathys) return { dqkv: grads, shown };
  const dqkv = grads.map((row, i) => {
    const back = row.slice();
    for (let at = 0; at < 2 * C; at += 2) {
      const turn = -i * rates[(at % D) / 2];
      const [cosine, sine] = [Math.cos(turn), Math.sin(turn)];
      back[at] = row[at] * cosine - row[at + 1] * sine;
      back[at + 1] = row[at] * sine + row[at + 1] * cosine;
    }
    const before = product(matrices.attn_wqkv, layer, read[i]);
    for (let at = 0; at < 2 * C; at += D) {
      const scaled = back.slice(at, at + D).map((each) => scale * each);
      back.set(rmsnormBackward(scaled, before.slice(at, at + D)), at);
    }
    return back;
  });
  return { dqkv, shown };
}

const dot = (a, b) => a.reduce((total, each, i) => total + each * b[i], 0);

const sum = (a, b) => a.map((row, i) => row.map((each, j) => each + b[i][j]));

const times = (matrix, layer, rows) => rows.map((row) => product(matrix, layer, row));

/** Return the gradients of the input of a matrix from the gradients of its output. */
const back = ({ columns, layers }, layer, rows) =>
  rows.map((row) => {
    const found = new Float64Array(columns);
    row.forEach((each, j) => {
      for (let i = 0; i < columns; i++) found[i] += each * layers[layer][j * columns + i];
    });
    return found;
  });

const scaleOf = (x) => (dot(x, x) / x.length + 1e-5) ** -0.5;

const normalized = (x) => {
  const scale = scaleOf(x);
  return x.map((each) => each * scale);
};

/** Return the gradient of x from the gradient of `rmsnorm(x)`. */
function rmsnormBackward(dy, x) {
  const scale = scaleOf(x);
  const mean = (scale * dot(x, dy)) / x.length;
  return dy.map((each, i) => scale * (each - x[i] * scale * mean));
}
