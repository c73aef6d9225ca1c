// Generate texts with one random generator for all texts, as `microgpt train` does at its end.

import { Decoder } from "./decoder.js";

/**
 * Return generated texts.
 * @param {import("./model.js").Model} model
 * @param {import("./tokenizer.js").CharTokenizer} tokenizer
 * @param {import("./mersenne_twister.js").Random} random
 * @param {number} n
 * @param {import("./decoder.js").Rules["sampling"]} sampling
 */
export function samples(model, tokenizer, random, n, sampling) {
  const { memory } = model;
  const stop = [...tokenizer.special.values()];
  const rules = { stop, forbidden: [], minTokens: 0, maxTokens: null, sampling };
  const drawn = []; // random numbers not used yet
  const fill = ({ numbers }, nNumbers) => {
    while (drawn.length < nNumbers) drawn.push(random.random());
    numbers.set(drawn.slice(0, nNumbers));
  };
  return Array.from({ length: n }, () => {
    const { end: start } = memory;
    try {
      const decoder = new Decoder(model, [[tokenizer.bos]], rules, fill);
      while (decoder.run());
      const [{ tokens, end }] = decoder.take();
      drawn.splice(0, tokens.length + Number(end === "stop"));
      return tokenizer.decode(tokens);
    } finally {
      memory.end = start;
    }
  });
}
