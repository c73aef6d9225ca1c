// Store the weights of a model in the layouts of the kernels. JavaScript version of engine/weight_layout.py.
//
// Shapes: C = n_embd, V = vocab_size, L = n_layer. The numbers of a matrix are stored row by row, per layer.

import { LANES, padded } from "./memory.js";

/** @typedef {Float32Array | Float64Array | Uint32Array} Numbers */
/** @typedef {{rows: number, columns: number, layers: Numbers[]}} Matrix */

/** Return the number of weights of a model; see `count_params`. */
export const countWeights = (model) =>
  (2 * model.vocab_size + nPositions(model)) * model.n_embd +
  model.n_layer * (4 + 2 * model.n_ff_exp) * model.n_embd ** 2;

const nPositions = (model) => (model.architecture === "karpathy" ? model.block_size : 0);

/** Decode numbers that are stored as "float16" or "float32". */
export function decodeNumbers(/** @type {Uint8Array} */ bytes, dtype) {
  const buffer = bytes.slice().buffer; // an aligned copy
  if (dtype === "float32") return new Float32Array(buffer);
  return Float32Array.from(new Uint16Array(buffer), half);
}

/** Decode a finite half-precision number (IEEE 754) from 16 bits. */
function half(/** @type {number} */ bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size = exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24;
  return bits & 0x8000 ? -size : size;
}

/**
 * Return the matrices of a model by name, as views of its weights in the order of `weight_shapes`.
 * @param {Numbers} numbers
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
    attn_wqkv: matrix(3 * C, C), // the rows of queries, keys and values follow one another
    attn_wo: matrix(C, C),
    mlp_fc1: matrix(hidden, C),
    mlp_fc2: matrix(C, hidden),
  };
  for (let layer = 0; layer < L; layer++) {
    for (const each of Object.values(inLayer)) each.layers.push(next(each.rows, each.columns));
  }
  return { ...found, ...inLayer };
}

/** One number per weight of a model: its value, its gradient or an Adam moment. */
export class PackedWeights {
  #model;

  /** @param {import("./memory.js").Memory} memory */
  constructor(memory, model) {
    const { vocab_size: V, n_embd: C, n_layer: L } = model;
    const hidden = model.n_ff_exp * C;
    this.#model = model;
    const nRows = countWeights(model) / C;
    this.array = memory.array("float32", [nRows, C], [nRows, padded(C)]);
    let first = 0;
    const next = (...shape) => {
      const part = this.array.rows(first, [...shape, C]);
      first += shape.reduce((product, n) => product * n, 1);
      return part;
    };
    const tables = [next(V), next(nPositions(model)), next(V)]; // wte, wpe and lm_head
    this.matrices = [...tables, next(L, 3 * C), next(L, C), next(L, hidden), next(L, hidden)];
  }

  /** Set the numbers, given in the order of `weight_shapes`. */
  set(/** @type {ArrayLike<number>} */ given) {
    const { numbers } = this.array;
    this.#places().forEach((place, i) => (numbers[place] = given[i]));
  }

  /** Return a copy of the numbers in the order of `weight_shapes`. */
  flat() {
    const { numbers } = this.array;
    return Float32Array.from(this.#places(), (place) => numbers[place]);
  }

  /** Return the index of each number in `array`, in the order of `weight_shapes`. */
  #places() {
    const places = new Uint32Array(countWeights(this.#model));
    const width = this.array.row;
    let first = 0; // first row of the matrix
    for (const [name, { rows, columns, layers }] of Object.entries(matricesOf(this.#model, places))) {
      const isTransposed = name === "mlp_fc2";
      for (const layer of layers) {
        let n = 0;
        for (let i = 0; i < rows; i++) {
          for (let j = 0; j < columns; j++) {
            layer[n++] = isTransposed ? (first + j) * width + i : (first + i) * width + j;
          }
        }
        first += isTransposed ? columns : rows;
      }
    }
    return places;
  }
}

/**
 * Return arrays, by name, for those matrices of `DecodeWeights` that are stored in panels.
 * @param {import("./memory.js").Memory} memory
 * @param {Record<string, Matrix>} matrices
 */
export const newPanels = (memory, { lm_head, attn_wqkv, attn_wo, mlp_fc1, mlp_fc2 }) =>
  Object.fromEntries(
    Object.entries({ lm_head, attn_wqkv, attn_wo, mlp_fc1, mlp_fc2 }).map(([name, matrix]) => {
      const { rows, columns, layers } = matrix;
      const width = Math.min(8 * LANES, padded(rows));
      const outer = name === "lm_head" ? [] : [layers.length];
      return [name, memory.array("float32", [...outer, Math.ceil(rows / width) * columns, width])];
    }),
  );

/**
 * Copy a matrix, or one matrix per layer, to an array: transposed, in stacked panels; see `in_panels`.
 * @param {import("./memory.js").KernelArray} panels
 * @param {Matrix} matrix
 */
export function fillPanels({ numbers, shape }, { rows, columns, layers }) {
  const [height, width] = shape.slice(-2);
  layers.forEach((given, layer) => {
    for (let row = 0; row < rows; row++) {
      const panel = Math.floor(row / width) * columns;
      const place = (layer * height + panel) * width + (row % width);
      for (let column = 0; column < columns; column++) {
        numbers[place + column * width] = given[row * columns + column];
      }
    }
  });
}
