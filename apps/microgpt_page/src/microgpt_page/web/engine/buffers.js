// The arrays of activations and gradients. JavaScript version of engine/buffers.py.

import { LANES, padded } from "./memory.js";

/**
 * Return the arrays of `Buffers` by name, for n tokens; see `buffer_shapes`.
 * @param {import("./model.js").Model} model
 * @param {number} n
 * @param {number} longest number of predicted tokens of the longest document
 */
export function newBuffers({ memory, config, layout }, n, longest) {
  const { n_embd: C, n_head: H, n_layer: L } = config;
  const N = ((padded(n + LANES) / LANES) | 1) * LANES;
  const nVectors = padded(longest) / LANES;
  const keysPerToken = (LANES * nVectors * (nVectors + 1)) / 2 / (LANES * (nVectors - 1) + 1);
  const isKarpathys = config.architecture === "karpathy";
  const sizes = {
    1: 1, 2: 2, n, "n + 1": n + 1, N, lanes: LANES, longest: padded(longest),
    V: config.vocab_size, "T or 0": isKarpathys ? config.block_size : 0,
    C, "3 C": 3 * C, "C // 2": Math.floor(C / 2), "padded C": padded(C),
    hidden: config.n_ff_exp * C, L, "L or 0": config.architecture === "modern" ? L : 0,
    "D or 0": isKarpathys ? 0 : C / H, "2 H or 0": isKarpathys ? 0 : 2 * H,
    keys: H * Math.ceil(n * Math.max(LANES, keysPerToken)),
  }; // prettier-ignore
  const arrays = Object.entries(layout.buffers).map(([name, names]) => {
    const shape = names.map((each) => sizes[each]);
    if (shape.length === 1) return [name, memory.array("int64", shape)];
    const [rows, columns] = shape.slice(-2);
    const room = [...shape.slice(0, -2), padded(rows), columns]; // `transpose` processes square tiles
    return [name, memory.array(name === "keys" ? "int32" : "float32", shape, room)];
  });
  return Object.fromEntries(arrays);
}
