// The mean of the weights near the end of a training. Equals training/weight_averaging.py.

import { round } from "./rounding.js";

const MAX_AVERAGED = 100; // maximum number of steps whose weights are averaged

/** @typedef {{weights: Float32Array, n: number}} Average the mean of the weights of n steps */

/** Return the mean with the weights of another step; each operation is one of float32. */
export function averageWith(/** @type {Average | null} */ mean, /** @type {Float32Array} */ weights) {
  if (!mean) return { weights, n: 1 };
  const n = mean.n + 1;
  const share = Math.fround(1 / n);
  const next = (x, i) => mean.weights[i] + Math.fround(share * Math.fround(x - mean.weights[i]));
  return { weights: weights.map(next), n };
}

/** Return the next step whose weights are averaged, or null if there is none. */
export function nextAveragedStep(/** @type {number} */ step, { steps, average_tail: fraction }) {
  if (!fraction) return null;
  const interval = Math.ceil(steps / MAX_AVERAGED);
  const nLeft = steps - Math.max(step, steps - round(fraction * steps));
  return nLeft > 0 ? steps - Math.floor((nLeft - 1) / interval) * interval : null;
}
