// The loss of the simplest model: a table of how often each token follows another.

const EVERY = 10; // one chunk of so many measures the loss, the others are counted

/** Return the mean loss, in nats, of predicting each token from the counts of tokens that follow the previous one. */
export function pairsLoss(/** @type {import("./dataset.js").Chunk[]} */ chunks, /** @type {number} */ vocabSize) {
  const counts = Array.from({ length: vocabSize }, () => new Float64Array(vocabSize).fill(1));
  const totals = new Float64Array(vocabSize).fill(vocabSize);
  let [sum, n] = [0, 0];
  const each = (isCounted, use) =>
    chunks.forEach(({ tokens, mask }, i) => {
      if (chunks.length >= EVERY && (i % EVERY > 0) !== isCounted) return;
      for (let j = 1; j < tokens.length; j++) if (mask?.[j] ?? 1) use(tokens[j - 1], tokens[j]);
    });
  each(true, (before, token) => {
    counts[before][token]++;
    totals[before]++;
  });
  each(false, (before, token) => {
    sum -= Math.log(counts[before][token] / totals[before]);
    n++;
  });
  return sum / n;
}
