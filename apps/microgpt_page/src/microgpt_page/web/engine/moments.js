// Choose the steps of a training run at which the page shows the model, and to which it can rewind.

const MOST = 100; // maximum number of evenly spaced moments
const FIRST = [1, 2, 5]; // times powers of ten: the loss falls fastest at the start

/**
 * Return the steps of the moments in ascending order, including 0 and the last step.
 * @param {number} steps number of steps of the training run
 * @param {number} room maximum number of moments that fit into the memory; at least two are returned
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
