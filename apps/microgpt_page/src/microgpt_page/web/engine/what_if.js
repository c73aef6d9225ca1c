// Compute the predictions of a model that is trained on changed documents.

import { changesOf } from "./changed_data.js";
import { countTargets } from "./dataset.js";
import { chunksOfDocument } from "./documents.js";
import { EngineError } from "./errors.js";
import { explain } from "./explanation.js";
import { heldOutLoss } from "./evaluation.js";
import { DIVERGED, KeptTrainings } from "./kept_trainings.js";
import { checkLength } from "./requests.js";

const MAX_TEXT = 512; // characters of a text; each has a row on the page

/** @typedef {import("./changed_data.js").Change} Change */
/** @typedef {import("./changed_data.js").Wish} Wish */
export class WhatIf {
  #trainings;
  #progress = new Progress(0);

  /** @param {ConstructorParameters<typeof KeptTrainings>} settings */
  constructor(...settings) {
    this.#trainings = new KeptTrainings(...settings);
  }

  /**
   * Yield the progress and the results so far: the bits of each token of a text, and the mean bits of
   * the changed documents, with and without the change.
   * @param {{wish: Wish, text: string, nSeeds: number}} question
   * @param {AbortSignal} [signal]
   */
  async *compare({ wish, text, nSeeds }, signal) {
    const changes = changesOf(wish, this.#trainings.data);
    this.#check(text);
    const { seed, steps } = this.#trainings.config;
    const others = Array.from({ length: nSeeds }, (_, i) => ({ seed: seed + i + 1, changes: [] }));
    const runs = [{ seed, changes: [] }, { seed, changes }, ...others];
    this.#progress = new Progress(runs.length * steps);
    const documents = changes.map((each) => this.#textOf(each));
    const counts = { nDocuments: changes.length, nRead: this.#trainings.read(changes).length, nSteps: steps };
    const measured = [];
    for (const run of runs) {
      yield* this.#train(run, signal);
      const ofText = text ? { tokens: this.#tokens(text), text: this.#meanBits([text]) } : null;
      measured.push({ ofText, documents: this.#meanBits(documents) });
      if (measured.length > 1) yield { comparison: { ...comparison(measured), ...counts } };
    }
  }

  /** Set the weights of the model to those of a run; yield the progress. */
  async *#train(run, signal) {
    if (this.#trainings.has(run)) this.#progress.skip(this.#trainings.config.steps);
    for await (const n of this.#trainings.train(run, signal)) yield { progress: this.#progress.after(n) };
  }

  #check(text) {
    checkLength("the text", text, MAX_TEXT);
    this.#trainings.data.tokenizer.encode(text); // throws an error if a character is unknown
  }

  /** Return the prediction of each token of a text and of its end. */
  #tokens(text) {
    const { model, data } = this.#trainings;
    const { bos } = data.tokenizer;
    const tokens = [bos, ...data.tokenizer.encode(text), bos];
    return explain(model, data.tokenizer, tokens, { top: 0, attention: [] }, true).predictions;
  }

  /** Return the mean bits of documents. */
  #meanBits(documents) {
    const { model, data, size } = this.#trainings;
    const chunks = documents.flatMap((each) => chunksOfDocument(each, data.tokenizer, size));
    const nTargets = chunks.reduce((n, chunk) => n + countTargets(chunk), 0);
    const bits = (heldOutLoss(model, chunks) * nTargets) / documents.length / Math.LN2;
    if (!Number.isFinite(bits)) throw new EngineError(DIVERGED);
    return bits;
  }

  /** Return the text of a removed or an added document. */
  #textOf(/** @type {Change} */ { document, text }) {
    return document === undefined ? /** @type {string} */ (text) : this.#trainings.data.documents[document];
  }
}

/** The fraction of steps that have been taken, and the estimated time for the remaining steps. */
class Progress {
  #started = performance.now();
  #nDone = 0;
  #nTrained = 0; // number of steps taken, without those of kept runs
  #nSteps;

  /** @param {number} nSteps */
  constructor(nSteps) {
    this.#nSteps = nSteps;
  }

  /** @param {number} n number of steps of a kept run */
  skip(n) {
    this.#nDone += n;
  }

  /** @param {number} n number of steps taken since the last call */
  after(n) {
    this.#nDone += n;
    this.#nTrained += n;
    const seconds = (performance.now() - this.#started) / 1000;
    const left = this.#nTrained ? (seconds / this.#nTrained) * (this.#nSteps - this.#nDone) : null;
    return { share: this.#nDone / this.#nSteps, secondsLeft: left };
  }
}

/**
 * Return the results of some runs: without the change, with the change, and with other seeds.
 * @param {{ofText: {tokens: {text: string, bits: number}[], text: number} | null, documents: number}[]} runs
 */
function comparison(runs) {
  const [before, after] = runs.map(({ ofText }) => ofText?.tokens ?? []);
  const tokens = before.map(({ text, bits }, i) => ({ text, before: bits, after: after[i].bits }));
  const ofText = runs.flatMap((run) => run.ofText?.text ?? []);
  const text = ofText.length ? figure(ofText) : null;
  const documents = figure(runs.map((run) => run.documents));
  return { tokens, text, documents, nSeeds: runs.length - 2 };
}

/**
 * Return the bits without and with the change. The spread is the standard deviation over all seeds, or
 * null if there is only one seed.
 * @param {number[]} bits without the change, with the change, and with other seeds
 */
function figure([before, after, ...others]) {
  const spread = others.length ? standardDeviation([before, ...others]) : null;
  return { before, after, change: after - before, spread };
}

/** Return the standard deviation of a sample, with n - 1 degrees of freedom. */
function standardDeviation(numbers) {
  const mean = numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
  const squares = numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return Math.sqrt(squares / (numbers.length - 1));
}
