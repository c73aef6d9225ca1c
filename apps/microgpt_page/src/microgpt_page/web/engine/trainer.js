// Training in the memory of the kernels. JavaScript version of engine/trainer.py.

import { newBuffers } from "./buffers.js";
import { longestOf, newDataset } from "./dataset.js";
import { padded } from "./memory.js";
import { Random } from "./mersenne_twister.js";
import { numbersOf } from "./model.js";
import { PackedWeights, countWeights } from "./weights.js";

const MICRO_BATCH = 128; // tokens per micro-batch if the documents are short
const RUN_MS = 20; // target duration of a call of `run`
const MAX_STEPS = 1024; // maximum number of steps per call
// The index in `PackedWeights` of the matrix that is 0 while a part is removed.
const MATRIX_OF_PART = { positions: 1, attention: 4, MLP: 6 };

/**
 * The state after a step.
 * @typedef {{step: number, arrays: Float32Array[]}} Snapshot
 */

/** Return the default learning rate of a model; see `default_lr`. */
const defaultLr = (/** @type {number} */ nEmbd) => 0.01 * Math.min(1, 16 / nEmbd);

/** Return the learning rate of a step, counted from 0; see `config.learning_rate`. */
export const learningRate = (/** @type {number} */ step, { lr, steps }) => lr * (1 - step / steps);

export class Trainer {
  #model;
  #state; // weights, gradients, and their running means m and v
  #workspace;
  #dataset;
  #settings;
  #buffers;
  #progress; // completed steps; number and loss of the documents read in the current step
  #nTokens = 1; // token budget of the next call
  #without; // removed parts of the model; see MATRIX_OF_PART

  /**
   * Draw initial weights. Training cycles through chunks of 2 to block_size + 1 tokens. No request
   * to the model may be running, as the arrays follow those of the model in its memory.
   * @param {import("./model.js").Model} model a model whose kernels include take_steps
   * @param {any} config the fields of `TrainConfig`
   * @param {import("./dataset.js").Chunk[]} chunks
   * @param {(order: number[]) => import("./dataset.js").Chunk[]} [changed] returns the chunks to read, given the
   *   order in which unchanged chunks would be read
   */
  constructor(model, config, chunks, changed) {
    const { memory } = model;
    this.#model = model;
    const { without = [], ...others } = config;
    this.config = { ...others, lr: config.lr ?? defaultLr(model.config.n_embd) }; // with a learning rate
    this.#without = without;
    this.random = Random.seeded(memory, BigInt(config.seed)); // ready to draw samples
    const read = inOrder(chunks, config, this.random, changed);
    const longest = longestOf(read);
    const nColumns = Math.min(Math.max(longest, MICRO_BATCH), longest * config.batch_size);
    this.#state = Array.from({ length: 4 }, () => new PackedWeights(memory, model.config));
    const [params, grads] = this.#state;
    params.set(initialWeights(model.config, this.random));
    this.#clearParts();
    this.#dataset = newDataset(memory, read);
    this.#buffers = newBuffers(model, nColumns, longest);
    this.#progress = memory.array("float64", [3]);
    this.#settings = [model.settings, numbersOf(config, model.layout.config)];
    const shapes = muonShapes(model.config, config);
    const [directions, scratch] = shapes.map((shape) => memory.array("float32", shape));
    const arrays = [...this.#state.map(({ array }) => array), directions];
    const buffers = Object.values(this.#buffers);
    this.#workspace = [arrays, params.matrices, grads.matrices, buffers, scratch, this.#progress];
  }

  /** The number of steps so far. */
  get nSteps() {
    return this.#progress.numbers[0];
  }

  /**
   * Train for about 20 ms, up to a step; return the losses of the steps taken.
   *
   * A longer step is spread over several calls, the last of which returns the loss. A final NaN stands for
   * a step whose loss or gradient is not finite; this step was not applied.
   * @param {number} [until]
   * @returns {number[]}
   */
  run(until = this.config.steps) {
    const { memory } = this.#model;
    const { end } = memory;
    const first = this.nSteps;
    const most = this.#without.length ? 1 : MAX_STEPS; // then some weights are cleared after each step
    const n = Math.min(until - first, this.config.steps - first, most);
    if (n <= 0) return [];
    const rates = Array.from({ length: n }, (_, i) => learningRate(first + i, this.config));
    const [lrs, losses] = [memory.arrayOf("float64", rates), memory.array("float64", [n])];
    const started = performance.now();
    const nRead = memory.call("take_steps", [
      this.#workspace, this.#dataset, this.#settings, lrs, losses, true, this.#nTokens,
    ]); // prettier-ignore
    const speed = nRead / Math.max(performance.now() - started, 0.1);
    this.#nTokens = Math.max(1, Math.min(Math.floor(speed * RUN_MS), 10 * this.#nTokens));
    const nTaken = this.nSteps - first;
    const hasFailed = nTaken < n && this.#progress.numbers[1] === this.config.batch_size;
    const found = Array.from(losses.numbers.subarray(0, nTaken + Number(hasFailed)));
    memory.end = end;
    if (hasFailed) this.#discardBatch();
    this.#clearParts();
    return found;
  }

  /** Set the weights and the moments of removed parts to 0. */
  #clearParts() {
    const [params, , m, v] = this.#state;
    for (const part of this.#without) {
      for (const { matrices } of [params, m, v]) matrices[MATRIX_OF_PART[part]].numbers.fill(0);
    }
  }

  /** Return the weights in the order of `weight_shapes`. */
  weights = () => this.#state[0].flat();

  /** @returns {Snapshot} */
  snapshot() {
    const [params, , m, v] = this.#state;
    const arrays = [params, m, v].map(({ array }) => array.numbers.slice());
    return { step: this.nSteps, arrays };
  }

  /** Restore a snapshot; training then continues with the same steps. */
  restore(/** @type {Snapshot} */ { step, arrays }) {
    const [params, , m, v] = this.#state;
    [params, m, v].forEach(({ array }, i) => array.numbers.set(arrays[i]));
    this.#progress.numbers[0] = step;
    this.#discardBatch();
  }

  /** Restart the current step from its first document. */
  #discardBatch() {
    this.#progress.numbers.fill(0, 1);
    this.#state[1].array.numbers.fill(0);
    // Buffers may contain infinity or NaN, and multiplying these by 0 gives NaN.
    for (const { type, numbers } of Object.values(this.#buffers)) {
      numbers.fill(type === "int64" ? 0n : 0);
    }
  }
}

/** Return the chunks in the order in which training reads them. */
export function inOrder(chunks, { steps, batch_size: batchSize, shuffle }, random, changed) {
  const order = [...chunks.keys()];
  if (shuffle) random.shuffle(order);
  const read = changed?.(order) ?? order.map((i) => chunks[i]);
  return read.slice(0, steps * batchSize);
}

/** Return weights of Karpathy's architecture in the order of `weight_shapes`; see `initial_weights`. */
const initialWeights = (model, random) =>
  Float64Array.from({ length: countWeights(model) }, () => random.gauss() * model.init_std);

/** Return the shapes of directions and scratch memory; see `muon_shapes`. */
function muonShapes({ n_layer: L, n_embd: C, n_ff_exp: factor }, { optimizer }) {
  const side = padded(C);
  const nRows = optimizer === "muon" ? L * (4 + 2 * factor) * C : 0;
  return [[nRows, side], [nRows && 2 * side + factor * C, side]];
}
