// The file of a model, which local_file.py writes. Its checksum is checked by client.js.

/**
 * What local_file.py writes. `parts` are bytes; `sizes` are those of each.
 * @typedef {object} LocalFile
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

export {}; // a module of types only
