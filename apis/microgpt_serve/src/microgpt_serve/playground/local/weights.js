// The weights of a model in the layouts of the kernels. Equals engine/weights.py.
//
// Shapes: C = n_embd, V = vocab_size, L = n_layer. A matrix has its numbers row by row, per layer.

import { LANES, padded } from "./memory.js";

/** @typedef {{rows: number, columns: number, layers: Float32Array[]}} Matrix */

/**
 * Return the number of weights of a model; see `count_params`.
 * @param {any} model
 */
export const countWeights = (model) =>
  (2 * model.vocab_size + nPositions(model)) * model.n_embd +
  model.n_layer * (4 + 2 * model.n_ff_exp) * model.n_embd ** 2;

const nPositions = (model) => (model.positions === "learned" ? model.block_size : 0);

/**
 * Return numbers that are stored as "float16" or "float32".
 * @param {Uint8Array} bytes
 */
export function decodeNumbers(bytes, dtype) {
  const buffer = bytes.slice().buffer; // aligned
  if (dtype === "float32") return new Float32Array(buffer);
  return Float32Array.from(new Uint16Array(buffer), half);
}

/**
 * Return the number of 16 bits in IEEE 754, which is finite.
 * @param {number} bits
 */
function half(bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size = exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24;
  return bits & 0x8000 ? -size : size;
}

/**
 * Return the matrices of a model by name, as views of its weights in the order of `weight_shapes`.
 * @param {any} model
 * @param {Float32Array} numbers
 * @returns {Record<string, Matrix>}
 */
export function matricesOf(model, numbers) {
  const { vocab_size: V, n_embd: C, n_layer: L } = model;
  const hidden = model.n_ff_exp * C;
  let start = 0;
  const next = (rows, columns) => numbers.subarray(start, (start += rows * columns));
  /** @returns {Matrix} */
  const matrix = (rows, columns) => ({ rows, columns, layers: [] });
  const found = { wte: matrix(V, C), wpe: matrix(nPositions(model), C), lm_head: matrix(V, C) };
  for (const each of Object.values(found)) each.layers.push(next(each.rows, C));
  const inLayer = {
    attn_wqkv: matrix(3 * C, C), // those of queries, keys and values follow one another
    attn_wo: matrix(C, C),
    mlp_fc1: matrix(hidden, C),
    mlp_fc2: matrix(C, hidden),
  };
  for (let layer = 0; layer < L; layer++) {
    for (const each of Object.values(inLayer)) each.layers.push(next(each.rows, each.columns));
  }
  return { ...found, ...inLayer };
}

/**
 * Return the arrays of `Weights`.
 * @param {import("./memory.js").Memory} memory
 */
export const forEvaluation = (memory, w) => [
  ...[w.wte, w.wpe, w.lm_head].map((matrix) => inRows(memory, matrix, false)),
  ...[w.attn_wqkv, w.attn_wo, w.mlp_fc1, transposed(w.mlp_fc2)].map((matrix) => inRows(memory, matrix)),
];

/**
 * Return the arrays of `DecodeWeights`.
 * @param {import("./memory.js").Memory} memory
 */
export const forDecoding = (memory, w) => [
  ...[w.wte, w.wpe].map((matrix) => inRows(memory, matrix, false)),
  inPanels(memory, w.lm_head, false),
  ...[w.attn_wqkv, w.attn_wo, w.mlp_fc1, w.mlp_fc2].map((matrix) => inPanels(memory, matrix)),
];

/** Return a matrix, or one per layer, with rows padded to whole vectors. */
function inRows(memory, { rows, columns, layers }, isStacked = true) {
  const outer = isStacked ? [layers.length] : [];
  const width = padded(columns);
  const array = memory.array("float32", [...outer, rows, columns], [...outer, rows, width]);
  const { numbers } = array;
  layers.forEach((given, layer) => {
    for (let row = 0; row < rows; row++) {
      const values = given.subarray(row * columns, (row + 1) * columns);
      numbers.set(values, (layer * rows + row) * width);
    }
  });
  return array;
}

/** Transpose a matrix, or one per layer, and split it into stacked panels; see `in_panels`. */
function inPanels(memory, { rows, columns, layers }, isStacked = true) {
  const width = Math.min(8 * LANES, padded(rows));
  const height = Math.ceil(rows / width) * columns;
  const array = memory.array("float32", [...(isStacked ? [layers.length] : []), height, width]);
  const { numbers } = array;
  layers.forEach((given, layer) => {
    for (let row = 0; row < rows; row++) {
      const panel = Math.floor(row / width) * columns;
      const place = (layer * height + panel) * width + (row % width);
      for (let column = 0; column < columns; column++) {
        numbers[place + column * width] = given[row * columns + column];
      }
    }
  });
  return array;
}

/**
 * @param {Matrix} matrix
 * @returns {Matrix}
 */
function transposed({ rows, columns, layers }) {
  const swapped = layers.map((given) =>
    Float32Array.from(given, (_, i) => given[(i % rows) * columns + Math.floor(i / rows)]),
  );
  return { rows: columns, columns: rows, layers: swapped };
}
