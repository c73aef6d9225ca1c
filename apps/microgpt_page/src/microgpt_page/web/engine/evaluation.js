// Compute the loss of held-out documents. JavaScript version of evaluation.py.

import { countTargets } from "./dataset.js";

const AT_ONCE = 2 ** 16; // number of tokens that are evaluated at once

/**
 * Return the mean loss of the tokens that count, in nats.
 * @param {import("./model.js").Model} model
 * @param {import("./dataset.js").Chunk[]} chunks at least one
 */
export function heldOutLoss(model, chunks) {
  let [total, n, portion, size] = [0, 0, /** @type {typeof chunks} */ ([]), 0];
  chunks.forEach((chunk, i) => {
    portion.push(chunk);
    size += chunk.tokens.length;
    n += countTargets(chunk);
    if (size < AT_ONCE && i < chunks.length - 1) return;
    total += model.evaluate(portion, (losses) => losses.reduce((sum, loss) => sum + loss, 0));
    [portion, size] = [[], 0];
  });
  return total / n;
}
