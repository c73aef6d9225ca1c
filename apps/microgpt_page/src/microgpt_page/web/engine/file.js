// Read and write the files of an engine and of a model. The Python version is packed_files.py.

/**
 * The file that engine_file writes.
 * @typedef {object} EngineFile
 * @property {{model: any, config: any}} defaults those of `ModelConfig` and `TrainConfig`
 * @property {Record<"rows" | "buffers", Record<string, string[]>> & Record<"model" | "config", Record<string, string>>} layout
 * @property {Record<string, Uint8Array>} parts decode, evaluate, uniforms, take_steps
 */

/**
 * The file that model_file writes, with the engine's layout. `parts` are the weights and the kernels.
 * @typedef {object} ModelFile
 * @property {any} model what model_facts returns
 * @property {"lines" | "stream"} text the kind of text that the model was trained on
 * @property {"float16" | "float32"} dtype of the weights
 * @property {number[]} rates
 * @property {any} step the settings of a training step; see `SavedModel.config`
 * @property {EngineFile["layout"]} layout
 * @property {{pieces: string[], merges: number[]}} [bpe]
 * @property {any} [questions]
 * @property {Record<string, Uint8Array>} parts
 */

/**
 * Unpack a file, which consists of a line of JSON with metadata and sizes, and of the bytes of each part.
 * client.js has verified the checksum.
 * @param {Uint8Array} bytes
 * @returns {any}
 */
export function unpacked(bytes) {
  const end = bytes.indexOf(10);
  const { sizes, ...facts } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  const parts = {};
  let at = end + 1;
  for (const [name, size] of Object.entries(sizes)) parts[name] = bytes.slice(at, (at += size));
  return { ...facts, parts };
}

/** Return the packed bytes of a model, as a file. */
export function packed(/** @type {ModelFile} */ { model, text, dtype, rates, step, parts: { weights } }) {
  const facts = { model, text, dtype, rates, step, bpe: null, questions: null };
  const line = JSON.stringify({ ...facts, sizes: { weights: weights.length } });
  return new Blob([`${line}\n`, weights]);
}
