// Round as Python does.

/** Return the nearest integer; a tie rounds to the even one. */
export function round(/** @type {number} */ x) {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? floor + (floor % 2) : Math.round(x);
}
