// Train one model repeatedly from the same start: with other seeds, or on changed documents.
//
// Vocabulary, split, initial weights, dropout and the order of reading do not depend on the changes.

import { changedReading } from "./changed_data.js";
import { dataOf } from "./documents.js";
import { pause } from "./engine.js";
import { EngineError } from "./errors.js";
import { Random } from "./mersenne_twister.js";
import { Model } from "./model.js";
import { Trainer, inOrder } from "./trainer.js";
import { untrained } from "./untrained_model.js";

export const DIVERGED = "a training diverged: its loss is not a number; use a smaller learning rate";
const MAX_KEPT = 2 ** 25; // maximum total number of weights that are kept

/** @typedef {{seed: number, changes: import("./changed_data.js").Change[]}} Run */

export class KeptTrainings {
  #kept = /** @type {Map<string, Float32Array>} */ (new Map()); // final weights by run

  /**
   * @param {import("./file.js").EngineFile} file
   * @param {string} text all documents
   * @param {{model: any, config: any, validation: number}} settings
   */
  constructor(file, text, { model: shape, config, validation }) {
    this.config = { ...file.defaults.config, ...config };
    const { text: kind } = this.config;
    if (kind === "stream") {
      const what = "this is running text, which has no documents to leave out";
      throw new EngineError(`${what}; use a text with one document per line`);
    }
    this.size = shape.block_size ?? file.defaults.model.block_size;
    this.data = dataOf(text, { text: kind, validation, size: this.size });
    this.model = new Model(untrained(file, shape, this.data.tokenizer, kind));
  }

  /** Return whether the result of a training run is kept. */
  has(/** @type {Run} */ run) {
    return this.#kept.has(JSON.stringify(run));
  }

  /**
   * Set the weights of the model to those of a training run; train it unless the weights are kept. Yield the
   * number of steps taken since the last time.
   * @param {Run} run
   * @param {AbortSignal} [signal]
   */
  async *train(run, signal) {
    const name = JSON.stringify(run);
    const { memory } = this.model;
    const { end } = memory;
    try {
      const weights = this.#kept.get(name) ?? (yield* this.#trained(run, signal));
      if ((this.#kept.size + 1) * weights.length <= MAX_KEPT) this.#kept.set(name, weights);
      this.model.setWeights(weights);
    } finally {
      memory.end = end;
    }
  }

  /**
   * Return those changes that affect documents which training reads. Without such changes, the result
   * of training is identical.
   * @param {import("./changed_data.js").Change[]} changes
   */
  read(changes) {
    const random = Random.seeded(this.model.memory, BigInt(this.config.seed));
    const chunks = inOrder(this.data.train, this.config, random);
    const read = new Set(chunks.map(({ document }) => document));
    return changes.filter(({ document }) => document === undefined || read.has(document));
  }

  /** Yield the number of steps taken since the last time; return the weights. */
  async *#trained({ seed, changes }, signal) {
    const { config, data, size } = this;
    const { steps, batch_size: batchSize } = config;
    const changed = (order) => changedReading(order, changes, data, size, steps * batchSize);
    const trainer = new Trainer(this.model, { ...config, seed }, data.train, changed);
    while (trainer.nSteps < steps) {
      const losses = trainer.run();
      if (losses.some(Number.isNaN)) throw new EngineError(DIVERGED);
      yield losses.length;
      await pause();
      signal?.throwIfAborted();
    }
    return trainer.weights();
  }
}
