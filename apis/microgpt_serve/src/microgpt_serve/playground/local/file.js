// The file of a model, which local_file.py writes, and whether it is whole.

import { EngineError } from "./errors.js";
import { countWeights } from "./weights.js";

const FORMAT = 1;

/**
 * What local_file.py writes. `parts` are bytes; `sizes` are those of each.
 * @typedef {object} LocalFile
 * @property {number} format
 * @property {any} model the answer to GET microgpt/v1/model
 * @property {"lines" | "stream"} text the kind of text that the model was trained on
 * @property {"float16" | "float32"} dtype of the weights
 * @property {number[]} rates
 * @property {{rows: Record<string, string[]>, buffers: Record<string, string[]>}} layout
 * @property {{pieces: string[], merges: number[]}} [bpe]
 * @property {any} [questions]
 * @property {Record<string, number>} sizes
 * @property {Record<string, Uint8Array>} parts weights, decode, evaluate, uniforms
 */

/** @param {string} what */
export const damaged = (what) =>
  new EngineError(`This file is damaged: ${what}. Ask for another copy of it.`);

/**
 * Throw an error unless the file is whole.
 * @param {LocalFile} file
 */
export function checkFile({ format, model, dtype, sizes, parts }) {
  if (format !== FORMAT) throw damaged(`its format is ${format}, not ${FORMAT}`);
  for (const [name, size] of Object.entries(sizes)) {
    const n = parts[name]?.length ?? 0;
    if (n !== size) throw damaged(`its part “${name}” has ${n} bytes, not ${size}`);
  }
  const wanted = countWeights(model) * (dtype === "float16" ? 2 : 4);
  if (parts.weights?.length !== wanted) throw damaged("its weights are not those of its model");
}
