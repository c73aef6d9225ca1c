// A model in the memory of its kernels. JavaScript version of engine/compiled_model.py and kernel_settings.py.

import { newBuffers } from "./buffers.js";
import { longestOf, newDataset } from "./dataset.js";
import { LANES, Memory, float, padded } from "./memory.js";
import {
  PackedWeights,
  countWeights,
  decodeNumbers,
  fillPanels,
  matricesOf,
  newPanels,
} from "./weights.js";

export const QK_SCALE = 1.2; // root mean square of normalized queries and keys
const EVAL_TOKENS = 256; // tokens per micro-batch if the documents are short
const CALL_WORK = 10 ** 9; // number of weights times tokens per kernel call

export class Model {
  #panels;

  /** @param {import("./file.js").ModelFile} file */
  constructor({ model, dtype, rates, layout, parts }) {
    const { weights, ...kernels } = parts;
    const numbers = decodeNumbers(weights, dtype);
    this.config = model;
    this.layout = layout; // layout of the named tuples that kernels take
    this.nWeights = countWeights(model);
    this.rates = rates;
    this.memory = new Memory(kernels);
    this.matrices = matricesOf(model, numbers);
    this.packed = new PackedWeights(this.memory, model);
    this.#panels = newPanels(this.memory, this.matrices);
    const [wte, wpe] = this.packed.matrices;
    this.decodeWeights = [wte, wpe, ...Object.values(this.#panels)];
    this.settings = [numbersOf(model, layout.model), ...rotaryTables(this.memory, model, rates)];
    this.setWeights(numbers);
  }

  /** Set the weights, given in the order of `weight_shapes`. */
  setWeights(/** @type {Float32Array} */ numbers) {
    this.matrices = matricesOf(this.config, numbers);
    this.packed.set(numbers);
    for (const [name, panels] of Object.entries(this.#panels)) fillPanels(panels, this.matrices[name]);
  }

  /**
   * Call a function with the loss of each prediction and the buffers after the last micro-batch;
   * return the result, and free their memory.
   * @template T
   * @param {import("./dataset.js").Chunk[]} chunks
   * @param {(losses: Float32Array, buffers: Record<string, import("./memory.js").KernelArray>) => T} use
   * @returns {T}
   */
  evaluate(chunks, use) {
    const { memory } = this;
    const { end } = memory;
    try {
      const nLosses = chunks.reduce((n, { tokens }) => n + tokens.length - 1, 0);
      const longest = longestOf(chunks);
      const buffers = newBuffers(this, Math.min(Math.max(longest, EVAL_TOKENS), nLosses), longest);
      const dataset = newDataset(memory, chunks);
      const [losses, noRows] = [memory.array("float32", [nLosses]), memory.array("float32", [0, 0])];
      const nTokens = Math.max(1, Math.floor(CALL_WORK / this.nWeights));
      for (let done = 0; done < chunks.length; ) {
        done = memory.call("evaluate", [
          this.packed.matrices, Object.values(buffers), dataset, losses, noRows, float(1),
          this.settings, done, nTokens,
        ]); // prettier-ignore
      }
      return use(losses.numbers, buffers);
    } finally {
      memory.end = end;
    }
  }
}

/**
 * Return settings as numbers for a kernel. A field with several choices becomes one flag per choice.
 * @param {any} settings the fields of `ModelConfig` or `TrainConfig`
 * @param {Record<string, string>} kinds see `kinds_of`
 */
export const numbersOf = (settings, kinds) =>
  Object.entries(kinds).map(([name, kind]) => {
    if (kind in settings) return settings[kind] === name;
    return kind === "float" ? float(settings[name]) : settings[name];
  });

/**
 * Return the tables of rotary positions; see `model_settings`.
 * @param {Memory} memory
 * @param {number[]} rates the angle of each pair of dimensions at position 1; see `angles`
 */
function rotaryTables(memory, model, rates) {
  const { n_embd: C, n_head: H } = model;
  const D = C / H;
  const T = model.architecture === "karpathy" ? 0 : model.block_size;
  const columns = memory.array("float32", [T ? D : 0, padded(T) + LANES]);
  const rows = memory.array("float32", [2, T, padded(2 * C)]);
  const [byColumn, byRow, width] = [columns.numbers, rows.numbers, rows.row];
  byRow.fill(1, 0, T * width); // the padding overlaps the values in qkv, which are not rotated
  for (let position = 0; position < T; position++) {
    for (let i = 0; i < 2 * C; i += 2) {
      const turn = position * rates[(i % D) / 2];
      const [cosine, sine] = [Math.cos(turn), Math.sin(turn)];
      const place = position * width + i;
      byRow[place] = byRow[place + 1] = cosine;
      byRow[T * width + place] = -sine;
      byRow[T * width + place + 1] = sine;
      if (i >= D) continue;
      byColumn[i * columns.row + position] = cosine;
      byColumn[(i + 1) * columns.row + position] = sine;
    }
  }
  return [columns, rows];
}
