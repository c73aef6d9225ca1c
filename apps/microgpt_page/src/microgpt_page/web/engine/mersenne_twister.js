// MT19937, the generator of `random.Random`. JavaScript version of engine/random_numbers.py and its kernels.

const GROUP = 32; // number of generators seeded in parallel
const N_WORDS = 624; // number of words of a state
const OFFSET = 397; // offset of the word mixed in by an update

/**
 * Set the first n numbers of each row to the first numbers of `random.Random(seed)`. Return the states of
 * the last group of generators, which are valid until the memory is reused.
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
  memory.end = end;
  return words.numbers;
}

/** A generator like Python's `random.Random`. */
export class Random {
  #words = new Uint32Array(N_WORDS);
  #next = N_WORDS; // index of the next word
  /** @type {number | null} */
  #spare = null; // the second of two normal draws

  /** Return a generator with a seed less than 2^64; the kernel computes its state. */
  static seeded(/** @type {import("./memory.js").Memory} */ memory, /** @type {bigint} */ seed) {
    const random = new Random();
    const { end } = memory;
    const numbers = memory.array("float64", [1, 0]);
    const states = drawUniforms(memory, [seed], numbers, 0); // seeds the generators, and draws nothing
    random.#words.forEach((_, i) => (random.#words[i] = states[i * GROUP]));
    memory.end = end;
    return random;
  }

  copy() {
    const other = new Random();
    other.#words = this.#words.slice();
    other.#next = this.#next;
    other.#spare = this.#spare;
    return other;
  }

  /** Return the next 32 random bits. */
  #word() {
    const words = this.#words;
    if (this.#next === N_WORDS) {
      for (let i = 0; i < N_WORDS; i++) {
        const y = (words[i] & 0x80000000) | (words[(i + 1) % N_WORDS] & 0x7fffffff);
        words[i] = words[(i + OFFSET) % N_WORDS] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      this.#next = 0;
    }
    let y = words[this.#next++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** Return a number in [0, 1). */
  random() {
    const high = this.#word() >>> 5;
    return (high * 2 ** 26 + (this.#word() >>> 6)) / 2 ** 53;
  }

  /** Return a standard normal draw (Box & Muller 1958). */
  gauss() {
    const spare = this.#spare;
    this.#spare = null;
    if (spare !== null) return spare;
    const angle = this.random() * (2 * Math.PI);
    const radius = Math.sqrt(-2 * Math.log(1 - this.random()));
    this.#spare = Math.sin(angle) * radius;
    return Math.cos(angle) * radius;
  }

  /** Shuffle an array in place (Fisher-Yates). */
  shuffle(/** @type {number[]} */ order) {
    for (let i = order.length - 1; i > 0; i--) {
      let j = i + 1;
      while (j > i) j = this.#word() >>> Math.clz32(i + 1); // rejection sampling
      [order[i], order[j]] = [order[j], order[i]];
    }
  }
}
