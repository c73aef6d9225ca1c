// Decode many sequences in a batch, in slices of 20 ms. JavaScript version of engine/decoder.py.

import { EngineError } from "./errors.js";
import { LANES, float, padded } from "./memory.js";

const RUN_MS = 20; // target duration of a slice
const WORK_5_MS = 10 ** 8; // number of weights times tokens of a first slice
const MAX_ROWS = 64; // maximum number of tokens per decoding step
const MAX_SLOTS = 50; // maximum number of concurrent sequences
const CACHE_BYTES = 2 ** 24; // maximum size of all keys and values
const [RUNNING, STOPPED, FULL, BROKEN, STUCK] = [0, 1, 2, 3, 4]; // status of a sequence
const [STOP, FORBIDDEN, NO_RULE] = [1, 2, 3]; // sampling rules
const [SMALLEST, LARGEST] = [2 ** -149, (2 - 2 ** -23) * 2 ** 127]; // numbers of float32

export const NOT_FINITE =
  "the logits are not finite because the weights are too large; " +
  "train the model again with a lower learning rate";
const PROBLEMS = { [BROKEN]: NOT_FINITE, [STUCK]: "all tokens are excluded from sampling" };
/** @type {Record<number, "stop" | "length">} */
const REASONS = { [STOPPED]: "stop", [FULL]: "length" };

/**
 * @typedef {object} Rules see `DecodeRules` and `config.Sampling`
 * @property {number[]} stop
 * @property {number[]} forbidden
 * @property {number} minTokens
 * @property {number | null} maxTokens
 * @property {{temperature: number, topK: number}} sampling
 */

export class Decoder {
  #model;
  #arrays;
  #sequences;
  #settings; // the arguments of `Sequences` after its arrays
  #fill;
  #nTaken; // tokens of each sequence that `take` has returned
  #nDrawn = 0; // number of random numbers drawn for each sequence
  #nTokens; // token budget of the next slice

  /**
   * @param {import("./model.js").Model} model
   * @param {number[][]} prompts of the same length
   * @param {Rules} rules
   * @param {(uniforms: import("./memory.js").KernelArray, n: number) => void} fill draws the first n
   *   random numbers of each sequence, which has a row; not called if the temperature is 0
   */
  constructor(model, prompts, rules, fill) {
    this.#model = model;
    const { config, nWeights } = model;
    const slot = 2 * config.n_layer * config.block_size * config.n_embd * Float32Array.BYTES_PER_ELEMENT;
    const mostSlots = Math.max(1, Math.min(MAX_SLOTS, Math.floor(CACHE_BYTES / slot)));
    const nSlots = Math.min(prompts.length, mostSlots);
    this.#sequences = this.#newSequences(prompts, rules, nSlots);
    this.#fill = rules.sampling.temperature ? fill : null;
    this.#nTaken = prompts.map((prompt) => prompt.length);
    const mostRows = 1 + Math.floor((4 * WORK_5_MS) / nWeights); // a step cannot be interrupted
    const T = Math.min(config.block_size, this.#sequences.tokens.shape[1]);
    const nRows = Math.max(nSlots, Math.min(MAX_ROWS, mostRows));
    this.#arrays = [newCache(model, nSlots, T), newRows(model, nRows, T)];
    this.#nTokens = 1 + Math.floor(WORK_5_MS / nWeights);
  }

  #newSequences(prompts, { stop, forbidden, minTokens, maxTokens, sampling }, nSlots) {
    const { memory, config } = this.#model;
    const lengths = prompts.map((prompt) => prompt.length);
    const n = prompts.length;
    const mostNew = maxTokens ?? config.block_size - lengths[0] + 1; // null: until the context is full
    const width = lengths[0] + mostNew;
    const rules = new Array(config.vocab_size).fill(0);
    for (const token of stop) rules[token] = STOP;
    for (const token of forbidden) rules[token] = FORBIDDEN;
    const { temperature } = sampling;
    this.#settings = [
      forbidden.length ? FORBIDDEN : NO_RULE,
      minTokens,
      float(temperature && Math.min(Math.max(temperature, SMALLEST), LARGEST)),
      sampling.topK,
      float(1), // top_p
      float(0), // min_p
    ];
    const sequences = {
      tokens: memory.array("int64", [n, width]),
      n_prompt: memory.arrayOf("int64", lengths),
      n_tokens: memory.arrayOf("int64", lengths),
      first: memory.array("int64", [n]),
      n_read: memory.array("int64", [n]),
      goals: memory.arrayOf("int64", new Array(n).fill(width)),
      status: memory.array("int64", [n]),
      uniforms: memory.array("float64", [n, mostNew]),
      slots: memory.arrayOf("int64", new Array(nSlots).fill(-1)),
      n_started: memory.array("int64", [1]),
      rules: memory.arrayOf("int64", rules),
    };
    const { numbers } = sequences.tokens;
    prompts.forEach((prompt, i) => numbers.set(prompt.map(BigInt), i * width));
    return sequences;
  }

  /** Decode for about 20 ms; return whether any sequence is still running. */
  run() {
    const { memory, decodeWeights, settings } = this.#model;
    this.#draw();
    const sequences = [...Object.values(this.#sequences), ...this.#settings];
    const started = performance.now();
    const n = memory.call("decode", [
      decodeWeights, this.#arrays, sequences, settings, this.#nTokens,
    ]); // prettier-ignore
    const speed = n / Math.max(performance.now() - started, 0.1);
    this.#nTokens = Math.max(1, Math.min(Math.floor(speed * RUN_MS), 10 * this.#nTokens));
    return this.#sequences.status.numbers.includes(BigInt(RUNNING));
  }

  /** Draw the random numbers of the next slice only, because most sequences need few. */
  #draw() {
    const { uniforms, n_tokens: nTokens, n_prompt: nPrompt } = this.#sequences;
    const [prompts, most] = [nPrompt.numbers, uniforms.shape[1]];
    let n = 0;
    nTokens.numbers.forEach((length, i) => (n = Math.max(n, Number(length - prompts[i]))));
    n += this.#nTokens + 1;
    if (!this.#fill || this.#nDrawn >= Math.min(n, most)) return;
    this.#nDrawn = Math.min(Math.max(n, 2 * this.#nDrawn), most);
    this.#fill(uniforms, this.#nDrawn);
  }

  /** Return the tokens of each sequence since the last call and, if the sequence has ended, its finish reason. */
  take() {
    const { tokens, n_tokens: nTokens, status } = this.#sequences;
    const [all, lengths, width] = [tokens.numbers, nTokens.numbers, tokens.row];
    return Array.from(status.numbers, Number).map((state, i) => {
      if (PROBLEMS[state]) throw new EngineError(PROBLEMS[state]);
      const [start, end] = [this.#nTaken[i], Number(lengths[i])];
      this.#nTaken[i] = end;
      const found = Array.from(all.subarray(i * width + start, i * width + end), Number);
      return { tokens: found, end: REASONS[state] ?? null };
    });
  }
}

/** Return the arrays of `KVCache` for contexts of T tokens. */
function newCache({ memory, config }, nSlots, T) {
  const { n_layer: L, n_embd: C } = config;
  return [
    memory.array("float32", [nSlots, L, (padded(T) / LANES) * C, LANES]),
    memory.array("float32", [nSlots, L, (padded(C) / LANES) * T, LANES]),
    memory.array("float32", [nSlots, L, Math.floor(C / 2)]),
  ];
}

/** Return the arrays of `Rows` for up to N tokens per step, in contexts of T tokens. */
function newRows({ memory, config, layout }, N, T) {
  const { n_embd: C, n_head: H, vocab_size: V } = config;
  const sizes = { 1: 1, N, C, "3 C": 3 * C, hidden: config.n_ff_exp * C, H, T, V };
  return Object.entries(layout.rows).map(([name, names]) => {
    const shape = names.map((each) => sizes[each]);
    if (shape.length === 1) return memory.array("int64", shape);
    const room = name === "qkv" ? padded(C) : 0; // values are read as whole vectors
    return memory.array("float32", shape, [shape[0], padded(shape[1] + room)]);
  });
}
