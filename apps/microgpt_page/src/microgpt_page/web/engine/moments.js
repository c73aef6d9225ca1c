// Choose the steps of a training run at which the page shows the model, and to which it can rewind.

const MOST = 100; // maximum number of moments at equal distances
const FIRST = [1, 2, 5]; // and these times a power of ten: the loss falls fastest at the start

/**
 * Return the steps in order, with 0 and the last.
 * @param {number} steps of the training
 * @param {number} room the number of moments that fit into the memory; there are at least two
 */
export function momentsOf(steps, room = MOST) {
  const n = Math.max(1, Math.min(MOST, room));
  const distance = Math.ceil(steps / n);
  const found = new Set([0, steps]);
  for (let step = distance; step < steps; step += distance) found.add(step);
  for (let power = 1; power < Math.min(distance, steps); power *= 10) {
    for (const digit of FIRST) if (digit * power < steps) found.add(digit * power);
  }
  const all = [...found].sort((a, b) => a - b);
  const last = Math.max(1, Math.min(all.length, room) - 1);
  return Array.from({ length: last + 1 }, (_, i) => all[Math.round((i * (all.length - 1)) / last)]);
}
