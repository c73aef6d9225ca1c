// Tokenized documents for the kernels. JavaScript version of data/context.py and engine/buffers.py.

/**
 * Up to block_size + 1 tokens. The mask is 1 for each token that counts in the loss; without it, all count.
 * @typedef {{tokens: number[], mask?: Uint8Array}} Chunk
 */

/**
 * Split tokens into overlapping chunks; each token except the first counts exactly once.
 * @param {number[]} tokens
 * @param {number} size tokens of the context
 * @param {number} [stride] distance between the starts of two chunks; by default, half of the context
 * @param {number} [first] token that replaces the first of each chunk
 */
export function windows(tokens, size, stride = Math.max(1, Math.floor(size / 2)), first) {
  /** @type {Chunk[]} */
  const chunks = [];
  for (let start = 0; start === 0 || start - stride + size < tokens.length - 1; start += stride) {
    const nMade = start ? size - stride : 0;
    const part = tokens.slice(start, start + size + 1);
    part[0] = first ?? part[0];
    const mask = nMade ? new Uint8Array(part.length).fill(1, nMade + 1) : undefined;
    chunks.push({ tokens: part, mask });
  }
  return chunks;
}

/** Return the largest number of predicted tokens in a chunk. */
export const longestOf = (/** @type {Chunk[]} */ chunks) =>
  chunks.reduce((longest, { tokens }) => Math.max(longest, tokens.length - 1), 0);

/** Return the number of predictions that count. */
export const countTargets = (/** @type {Chunk} */ { tokens, mask }) =>
  mask ? mask.subarray(1).reduce((n, each) => n + each, 0) : tokens.length - 1;

/** Return the arrays of `Dataset`. */
export function newDataset(/** @type {import("./memory.js").Memory} */ memory, /** @type {Chunk[]} */ chunks) {
  const [starts, targetsBefore] = [[0], [0]];
  chunks.forEach((chunk, i) => {
    starts.push(starts[i] + chunk.tokens.length);
    targetsBefore.push(targetsBefore[i] + countTargets(chunk));
  });
  const n = starts[chunks.length];
  const tokens = memory.array("int64", [n]);
  const mask = memory.array("int8", [chunks.some((each) => each.mask) ? n : 0]);
  chunks.forEach((chunk, i) => {
    tokens.numbers.set(chunk.tokens.map(BigInt), starts[i]);
    if (!mask.length) return;
    mask.numbers.set(chunk.mask ?? new Uint8Array(chunk.tokens.length).fill(1), starts[i]);
  });
  const [before, noTargets] = [memory.arrayOf("int64", targetsBefore), memory.array("float32", [0, 0])];
  return [tokens, memory.arrayOf("int64", starts), mask, before, noTargets];
}
