// Switch parts of a model off.

import { repr } from "./characters.js";
import { EngineError } from "./errors.js";
import { checkHeads, checkWhole } from "./requests.js";
import { matricesOf } from "./weights.js";

const IN_LAYER = ["attn_wq", "attn_wk", "attn_wv", "attn_wo", "mlp_fc1", "mlp_fc2"];
const KINDS = ["without_heads", "without_mlps", "learn"];

/** Return whether a request changes the model. */
export const hasEdits = (body) => KINDS.some((name) => body[name]?.length);

/** Return weights with the changes of a request, in the order of `weight_shapes`. */
export function edited(config, /** @type {Float32Array} */ weights, body) {
  const [heads, mlps] = KINDS.map((name) => body[name] ?? []);
  const { n_embd: C, n_head: H, n_layer: L } = config;
  const numbers = weights.slice();
  const matrices = matricesOf(config, numbers);
  checkHeads(config, heads);
  for (const layer of mlps) checkWhole("layer", layer, 0, L - 1);
  const D = C / H;
  for (const [layer, head] of heads) {
    const wo = matrices.attn_wo.layers[layer];
    for (let row = 0; row < C; row++) wo.fill(0, row * C + head * D, row * C + (head + 1) * D);
  }
  for (const layer of mlps) matrices.mlp_fc2.layers[layer].fill(0);
  return numbers;
}

/** Return the rows of a matrix; throw an error if the model lacks the weight. */
export function rowsOf(config, matrices, { matrix: name, row, column }) {
  const tables = ["wte", "wpe", "lm_head"].filter((table) => matrices[table].rows);
  const layers = [...Array(config.n_layer).keys()];
  const names = [...tables, ...layers.flatMap((layer) => IN_LAYER.map((kind) => `layer${layer}.${kind}`))];
  if (!names.includes(name)) {
    throw new EngineError(`the model has no matrix ${repr(name)}; it has ${names.join(", ")}`);
  }
  const [first, kind] = name.split(".");
  const layer = kind ? Number(first.slice("layer".length)) : 0;
  const C = config.n_embd;
  const part = kind ? IN_LAYER.indexOf(kind) : -1;
  const isJoined = part >= 0 && part < 3; // queries, keys and values share a matrix
  const whole = matrices[isJoined ? "attn_wqkv" : (kind ?? name)];
  const numbers = isJoined
    ? whole.layers[layer].subarray(part * C * C, (part + 1) * C * C)
    : whole.layers[layer];
  checkWhole(`row of ${name}`, row, 0, numbers.length / whole.columns - 1);
  checkWhole(`column of ${name}`, column, 0, whole.columns - 1);
  return { numbers, columns: whole.columns };
}
