// The files of a model that `microgpt` reads. Equals storage/model_directory.py and saved_model.py.

import { sha256 } from "./sha256.js";
import { matricesOf } from "./weights.js";
import { joined } from "./zip.js";

const SHAPE = ["vocab_size", "n_embd", "n_head", "n_layer", "block_size", "n_ff_exp", "init_std"];
const SETTINGS = ["seed", "batch_size", "lr"];
const encoder = new TextEncoder();

/**
 * Return the files by name.
 * @param {any} model the shape
 * @param {import("./tokenizer.js").CharTokenizer} tokenizer
 * @param {Float32Array} numbers weights in the order of `weight_shapes`
 * @param {any} training settings and facts of the training, whose `steps` are those taken
 */
export function modelFiles(model, tokenizer, numbers, training) {
  const weights = safetensors(model, numbers);
  const pick = (from, names) => Object.fromEntries(names.map((name) => [name, from[name]]));
  const meta = {
    ...pick(model, SHAPE),
    architecture: model.architecture,
    chars: tokenizer.pieces,
    format_version: 1,
    weights_sha256: sha256(weights),
    dtype: "float32",
    tokenizer: "char",
    training: {
      ...pick(training, ["steps", ...SETTINGS]),
      ...(training.text === "stream" ? { text: "stream" } : {}),
    },
  };
  return {
    "meta.json": encoder.encode(`${JSON.stringify(meta, null, 2)}\n`),
    "model.safetensors": weights,
  };
}

/** Return weights in the format of safetensors: a length, a header, and the numbers in order. */
function safetensors(model, numbers) {
  const header = { __metadata__: { format: "np" } };
  let end = 0;
  const add = (name, rows, columns) => {
    const shape = [rows, columns];
    if (rows) header[name] = { dtype: "F32", shape, data_offsets: [end, (end += 4 * rows * columns)] };
  };
  const { n_embd: C } = model;
  const { wte, wpe, lm_head, mlp_fc1 } = matricesOf(model, numbers);
  for (const [name, { rows }] of Object.entries({ wte, wpe, lm_head })) add(name, rows, C);
  for (let layer = 0; layer < model.n_layer; layer++) {
    for (const name of ["wq", "wk", "wv", "wo"]) add(`layer${layer}.attn_${name}`, C, C);
    add(`layer${layer}.mlp_fc1`, mlp_fc1.rows, C);
    add(`layer${layer}.mlp_fc2`, C, mlp_fc1.rows);
  }
  const text = JSON.stringify(header);
  const head = encoder.encode(text.padEnd(Math.ceil(text.length / 8) * 8)); // numbers are aligned
  const length = new Uint8Array(new BigUint64Array([BigInt(head.length)]).buffer);
  return joined([length, head, new Uint8Array(numbers.slice().buffer)]);
}
