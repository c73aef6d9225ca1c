// SHA-256 (FIPS 180-4). `crypto.subtle` is asynchronous, which is too slow for many short texts.

/** Return the first 32 bits of the fractional part of a number. */
const fraction = (x) => Math.floor((x % 1) * 2 ** 32);

const PRIMES = Array.from({ length: 312 }, (_, n) => n).filter(
  (n) => n > 1 && !Array.from({ length: n }, (_, i) => i).some((i) => i > 1 && n % i === 0),
); // the first 64 primes
const START = PRIMES.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));
const K = PRIMES.map((prime) => fraction(Math.cbrt(prime)));
const turned = (x, n) => (x >>> n) | (x << (32 - n));

/** Return the hash in hexadecimal digits. */
export function sha256(/** @type {Uint8Array} */ bytes) {
  const padded = new Uint8Array(64 * Math.ceil((bytes.length + 9) / 64));
  padded.set(bytes);
  padded[bytes.length] = 128;
  const view = new DataView(padded.buffer);
  view.setBigUint64(padded.length - 8, 8n * BigInt(bytes.length));
  let state = Uint32Array.from(START);
  for (let at = 0; at < padded.length; at += 64) state = mixed(state, view, at);
  return Array.from(state, (word) => word.toString(16).padStart(8, "0")).join("");
}

/** Return the state after a block of 64 bytes. */
function mixed(state, view, at) {
  const w = new Uint32Array(64);
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i++) {
    if (i < 16) w[i] = view.getUint32(at + 4 * i);
    else {
      const [x, y] = [w[i - 15], w[i - 2]];
      const low = turned(x, 7) ^ turned(x, 18) ^ (x >>> 3);
      const high = turned(y, 17) ^ turned(y, 19) ^ (y >>> 10);
      w[i] = w[i - 16] + low + w[i - 7] + high;
    }
    const one = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25);
    const first = (h + one + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
    const zero = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22);
    const second = (zero + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
  }
  return Uint32Array.from([a, b, c, d, e, f, g, h], (x, i) => x + state[i]);
}
