// Rounding as in Python.

/**
 * Return the nearest integer; of two, the even one.
 * @param {number} x
 */
export function round(x) {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? floor + (floor % 2) : Math.round(x);
}
