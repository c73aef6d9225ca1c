// The laboratory of a page, in a worker: it reads texts, and trains one model that can be shown,
// rewound and saved at any moment. A second model needs a second worker.

import { withActivations } from "./activations.js";
import { lengthOf, strip } from "./characters.js";
import { countTargets } from "./dataset.js";
import { NOT_FINITE } from "./decoder.js";
import { dataOf, textOf } from "./documents.js";
import { Engine, pause } from "./engine.js";
import { EngineError } from "./errors.js";
import { packed } from "./file.js";
import { heldOutLoss } from "./evaluation.js";
import { pairsLoss } from "./letter_pairs.js";
import { Model } from "./model.js";
import { momentsOf } from "./moments.js";
import { places, turned } from "./principal_axes.js";
import { samplingOf } from "./requests.js";
import { samples } from "./samples.js";
import { kindOf } from "./text_kind.js";
import { Trainer } from "./trainer.js";
import { untrained } from "./untrained_model.js";
import { WhatIf } from "./what_if.js";

const MESSAGE_MS = 50; // least time between messages to the page
const MOMENT_BYTES = 2 ** 27; // maximum size of all moments
const WORK = 3e8; // maximum number of weights times tokens to compute a held-out loss or samples
const [N_SAMPLES, N_LAST] = [5, 20];
const N_WATCHED = 32; // chunks for statistics of hidden units

/**
 * The state of the model after a step. The loss is measured on held-out documents; the places are the
 * coordinates of the embeddings on their principal axes. A sample is known if it is a training
 * document. `active` is the fraction of positions of some texts at which each hidden unit is active.
 * @typedef {object} Moment
 * @property {number} step
 * @property {string[]} samples
 * @property {boolean[]} known
 * @property {Float32Array} places
 * @property {number | null} heldOut
 * @property {number[]} active by layer and unit
 */
/**
 * Progress of a training run: the losses and the moments since the last message.
 * @typedef {object} Progress
 * @property {number} step the number of steps so far
 * @property {number[]} losses
 * @property {Moment[]} moments
 * @property {"paused" | "finished" | "diverged" | null} end the reason to end training, if there is one
 */

export class Laboratory {
  #file;
  #text = "";
  #speed = Infinity; // steps per second
  #isPaused = false;
  /** @type {Run | null} */
  #run = null;
  /** @type {{about: string[], whatIf: WhatIf} | null} */
  #asked = null; // what the questions are about

  /** @param {import("./file.js").EngineFile} file */
  constructor(file) {
    this.#file = file;
  }

  /** Return the answer to a request: a value, a promise of one, or a generator of parts. */
  answer(/** @type {string} */ name, body, /** @type {AbortSignal | undefined} */ signal) {
    const answers = {
      read: () => this.#read(body),
      start: () => this.#start(body),
      pause: () => void (this.#isPaused = true),
      speed: () => void (this.#speed = body.speed),
      rewind: () => this.#started.rewind(body.step),
      model: () => packed(this.#started.modelFile(body.name)),
      explain: () => this.#started.explain(body),
      train: () => this.#train(body, signal),
      compare: () => this.#whatIf(body.settings).compare(body.question, signal),
    };
    return answers[name]();
  }

  get #started() {
    if (!this.#run) throw new EngineError("no model has been trained");
    return this.#run;
  }

  /** Read a file of training texts; return a description of the texts. */
  #read(/** @type {{bytes: Uint8Array}} */ { bytes }) {
    this.#text = textOf(bytes);
    const kind = kindOf(this.#text);
    const lines = this.#text.split("\n").map(strip).filter(Boolean);
    const nDocuments = kind === "lines" ? lines.length : 1;
    const characters = new Set(this.#text);
    if (kind === "lines") characters.delete("\n");
    const nCharacters = lengthOf(kind === "lines" ? this.#text.replaceAll("\n", "") : this.#text);
    return { text: kind, nDocuments, nCharacters, nTokens: characters.size + 1, first: lines[0] };
  }

  /**
   * Create a model with initial weights; return a description of it.
   * @param {{model: any, config: any, validation: number, text: "lines" | "stream"}} settings the fraction to hold
   * out, and the fields of `ModelConfig` and `TrainConfig` that differ from Karpathy's
   */
  #start(settings) {
    this.#run = new Run(this.#file, this.#text, settings); // on an error, the previous run remains
    return this.#run.about;
  }

  /** Return the object that answers "What if" questions and keeps the results of their training runs. */
  #whatIf(settings) {
    const about = [this.#text, JSON.stringify(settings)];
    const known = this.#asked;
    if (known && about.every((each, i) => each === known.about[i])) return known.whatIf;
    this.#asked = null; // frees its memory
    const whatIf = new WhatIf(this.#file, this.#text, settings);
    this.#asked = { about, whatIf };
    return whatIf;
  }

  /**
   * Train up to a step; yield `Progress`.
   * @param {{until?: number, speed?: number}} body
   * @param {AbortSignal} [signal]
   * @returns {AsyncGenerator<Progress>}
   */
  async *#train({ until, speed }, signal) {
    const run = this.#started;
    this.#speed = speed ?? this.#speed;
    this.#isPaused = false;
    let [before, sent, credit] = [performance.now(), 0, 1]; // steps that may be taken now: `credit`
    for (;;) {
      const now = performance.now();
      const more = this.#speed === Infinity ? Infinity : ((now - before) / 1000) * this.#speed;
      credit = Math.min(credit + more, Math.max(1, this.#speed / 10));
      before = now;
      const end = this.#isPaused || signal?.aborted ? "paused" : run.end(until);
      if (end || now - sent >= MESSAGE_MS) {
        yield { ...run.progress(), end };
        sent = now;
      }
      if (end) return;
      if (credit >= 1) credit -= run.advance(Math.min(until ?? Infinity, run.step + Math.floor(credit)));
      if (credit >= 1) await pause();
      else await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/** A model and its training run. */
class Run {
  #file;
  #model;
  #engine;
  #trainer;
  #tokenizer;
  #validation;
  #documents;
  #steps; // steps of the moments
  #kept = /** @type {Map<number, import("./trainer.js").Snapshot>} */ (new Map());
  #losses = /** @type {number[]} */ ([]); // losses since the last message
  #moments = /** @type {Moment[]} */ ([]);
  #mark; // mark of held-out losses
  #watched; // some training chunks
  #pairs; // loss of a table of token pairs
  #hasDiverged = false;
  /** @type {Float32Array | null} */
  #places = null; // of the previous moment

  constructor(file, text, { model: shape, config, validation, text: kind }) {
    const size = shape.block_size ?? file.defaults.model.block_size;
    const data = dataOf(text, { text: kind, validation, size });
    this.#file = untrained(file, shape, data.tokenizer, kind);
    this.#model = new Model(this.#file);
    this.#trainer = new Trainer(this.#model, { ...file.defaults.config, ...config, text: kind }, data.train);
    this.#file.step = this.#trainer.config;
    this.#engine = new Engine(this.#file, this.#model);
    this.#tokenizer = data.tokenizer;
    this.#documents = new Set(data.documents);
    this.#validation = within(data.validation, WORK / this.#model.nWeights);
    this.#mark = data.mark;
    const distance = Math.ceil(data.train.length / N_WATCHED);
    this.#watched = data.train.filter((_, i) => i % distance === 0);
    this.#pairs = pairsLoss(data.train, this.#file.model.vocab_size);
    const bytes = 3 * 4 * this.#model.nWeights;
    this.#steps = new Set(momentsOf(this.#trainer.config.steps, Math.floor(MOMENT_BYTES / bytes)));
    this.#keep();
  }

  get step() {
    return this.#trainer.nSteps;
  }

  get about() {
    const { model } = this.#file;
    const n = this.#validation.length;
    const labels = Array.from({ length: model.vocab_size }, (_, token) => this.#tokenizer.label(token));
    const { config } = this.#trainer;
    return { model, labels, nHeldOut: n, mark: this.#mark, pairs: this.#pairs, config, moments: [...this.#steps] };
  }

  /** Return the reason to stop training before step `until`, or null. */
  end(until = Infinity) {
    if (this.#hasDiverged) return "diverged";
    if (this.step === this.#trainer.config.steps) return "finished";
    return this.step >= until ? "paused" : null;
  }

  /** Train for about 20 ms, up to a step or to the next moment; return the number of steps taken. */
  advance(until) {
    const first = this.step;
    let next = first + 1;
    while (next < until && !this.#steps.has(next)) next++;
    const losses = this.#trainer.run(next);
    this.#hasDiverged = Number.isNaN(losses.at(-1)); // the step that failed was not applied
    this.#losses.push(...losses.filter((loss) => !Number.isNaN(loss)));
    try {
      if (this.step > first && this.#steps.has(this.step)) this.#keep();
    } catch (/** @type {any} */ error) {
      if (error.message !== NOT_FINITE) throw error;
      this.#hasDiverged = true;
    }
    return this.step - first;
  }

  /** Return the progress that has not been sent yet. */
  progress() {
    const found = { step: this.step, losses: this.#losses, moments: this.#moments };
    [this.#losses, this.#moments] = [[], []];
    return found;
  }

  /** Record the state of the training run and of the model. */
  #keep() {
    const { step } = this;
    if (this.#kept.has(step)) return; // reached before a rewind
    const numbers = this.#update();
    const { vocab_size: V, n_embd: C, block_size: T } = this.#file.model;
    const n = step === this.#trainer.config.steps ? N_LAST : N_SAMPLES;
    const nSamples = Math.max(1, Math.min(n, Math.floor(WORK / (T * this.#model.nWeights))));
    const random = this.#trainer.random.copy();
    const texts = samples(this.#model, this.#tokenizer, random, nSamples, samplingOf({}));
    const heldOut = this.#validation.length ? heldOutLoss(this.#model, this.#validation) : null;
    this.#kept.set(step, this.#trainer.snapshot());
    const found = places(numbers.subarray(0, V * C), C);
    this.#places = this.#places ? turned(found, this.#places) : found;
    const known = texts.map((each) => this.#documents.has(each));
    this.#moments.push({ step, samples: texts, known, places: this.#places, heldOut, active: this.#active() });
  }

  /** Return the fraction of positions at which each hidden unit is active. */
  #active() {
    const { n_layer: L, n_embd: C, n_ff_exp: factor } = this.#file.model;
    const found = new Array(L * factor * C).fill(0);
    let n = 0;
    for (const { tokens } of this.#watched) {
      n += tokens.length - 1;
      withActivations(this.#model, tokens, (activations) => {
        for (let layer = 0; layer < L; layer++) {
          for (let i = 0; i < tokens.length - 1; i++) {
            const units = activations.column("hidden", i, layer);
            units.forEach((unit, j) => (found[layer * units.length + j] += Number(unit > 0)));
          }
        }
      });
    }
    return found.map((each) => each / n);
  }

  /** Copy the weights of the training run to the model; return them. */
  #update() {
    const numbers = this.#trainer.weights();
    this.#model.setWeights(numbers);
    return numbers;
  }

  /** Return to the moment of a step. */
  rewind(/** @type {number} */ step) {
    const snapshot = this.#kept.get(step);
    if (!snapshot) throw new EngineError(`step ${step} is not kept`);
    this.#trainer.restore(snapshot);
    this.#hasDiverged = false;
    this.progress(); // drops what came after it
    return { step };
  }

  /** Explain a text with the current model. */
  explain(body) {
    this.#update();
    return this.#engine.answer("explain", body);
  }

  /** Return the file of the current model, with a name. */
  modelFile(name) {
    const numbers = this.#trainer.weights();
    const weights = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
    return { ...this.#file, model: { ...this.#file.model, name }, parts: { weights } };
  }
}

/** Return evenly spaced chunks with at most a given number of tokens, but at least one. */
function within(/** @type {import("./dataset.js").Chunk[]} */ chunks, nTokens) {
  const n = chunks.reduce((sum, chunk) => sum + countTargets(chunk), 0);
  const distance = Math.ceil(n / nTokens);
  return distance > 1 ? chunks.filter((_, i) => i % distance === 0) : chunks;
}
