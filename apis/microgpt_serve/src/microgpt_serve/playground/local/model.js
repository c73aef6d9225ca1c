// A model in the memory of its kernels. Equals engine/compiled_model.py and engine/settings.py.

import { LANES, Memory, float, padded } from "./memory.js";
import { countWeights, decodeNumbers, forDecoding, forEvaluation, matricesOf } from "./weights.js";

export const QK_SCALE = 1.2; // root mean square of normalized queries and keys

export class LocalModel {
  /** @param {import("./file.js").LocalFile} file */
  constructor({ model, dtype, rates, layout, parts }) {
    this.config = model;
    this.layout = layout; // the shape of each array of `Rows` and of `Buffers`
    this.nWeights = countWeights(model);
    const { decode, evaluate, uniforms } = parts;
    this.memory = new Memory({ decode, evaluate, uniforms });
    this.matrices = matricesOf(model, decodeNumbers(parts.weights, dtype));
    this.evaluationWeights = forEvaluation(this.memory, this.matrices);
    this.decodeWeights = forDecoding(this.memory, this.matrices);
    this.architecture = architectureOf(this.memory, model, rates);
  }
}

/**
 * Return the arguments of `Architecture`.
 * @param {Memory} memory
 * @param {any} model
 * @param {number[]} rates the angle of each pair of dimensions at position 1; see `angles`
 */
function architectureOf(memory, model, rates) {
  const { n_embd: C, n_head: H } = model;
  const D = C / H;
  const T = model.positions === "rotary" ? model.block_size : 0;
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
  const scale = model.qk_norm ? QK_SCALE ** 2 : 1;
  const shift = model.token_shift ? Math.floor(C / 2) : -1;
  const isSquared = model.activation === "relu2";
  const { qk_norm: qkNorm, final_norm: finalNorm } = model;
  return [H, float(scale / Math.sqrt(D)), shift, isSquared, qkNorm, finalNorm, columns, rows];
}
