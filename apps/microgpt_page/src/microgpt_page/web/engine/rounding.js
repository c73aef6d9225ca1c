// Rounding as in Python.

/** Return the nearest integer; of two, the even one. */
export function round(/** @type {number} */ x) {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? floor + (floor % 2) : Math.round(x);
}
