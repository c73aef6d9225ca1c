// The numbers of Python's `random.Random`, drawn by the kernel. Equals engine/mersenne.py.

const GROUP = 32; // number of generators seeded in parallel
const N_WORDS = 624; // number of words of a state

/**
 * Set the first n numbers of each row to those of `random.Random(seed)`.
 * @param {import("./memory.js").Memory} memory
 * @param {bigint[]} seeds less than 2^64
 * @param {import("./memory.js").KernelArray} numbers with a row per seed
 * @param {number} n
 */
export function drawUniforms(memory, seeds, numbers, n) {
  const { end } = memory;
  const room = Math.ceil(seeds.length / GROUP) * GROUP;
  const [even, odd] = [memory.array("uint32", [room]), memory.array("uint32", [room])];
  const words = memory.array("uint32", [N_WORDS * GROUP]);
  const drawn = numbers.columns(n);
  const [low, added] = [even.numbers, odd.numbers];
  seeds.forEach((seed, i) => {
    const high = Number(seed >> 32n);
    low[i] = Number(seed & 0xffffffffn);
    added[i] = high > 0 ? high + 1 : low[i]; // in odd steps of CPython's init_by_array
  });
  memory.call("uniforms", [drawn, even, odd, words]);
  memory.release(end);
}
