// A training step on one text.

import { withActivations } from "./activations.js";
import { rowsOf } from "./edits.js";
import { EngineError } from "./errors.js";
import { gradientOf, gradients } from "./gradients.js";
import { CHAT_TOKENS } from "./tokenizer.js";
import { Trainer } from "./trainer.js";
import { matricesOf } from "./weights.js";

const WINDOW = 64; // maximum number of rows and columns of a matrix in the result
const TABLES = ["wte", "wpe"];
const NOTHING = "there is nothing to learn; add a reply, or a text";

/**
 * Return the weights after a training step on some tokens, in the order of `weight_shapes`.
 * @param {import("./model.js").Model} model
 * @param {any} config the settings of a step
 * @param {number[]} tokens
 * @param {boolean} [unfinished] whether to leave out the end of the text
 */
export function weightsAfter(model, config, tokenizer, tokens, unfinished) {
  const { memory } = model;
  const { end } = memory;
  const counted = countedOf(config, tokenizer, tokens, unfinished);
  checkStep(counted, model.config.block_size);
  try {
    const chunk = { tokens, mask: Uint8Array.from([0, ...counted]) };
    const others = { steps: 1, batch_size: 1, dropout: 0, shuffle: false };
    const trainer = new Trainer(model, { ...config, ...others }, [chunk]);
    const zeros = new Float32Array(model.packed.array.length);
    const arrays = [model.packed.array.numbers.slice(), zeros, zeros];
    trainer.restore({ step: 0, arrays });
    trainer.run();
    return trainer.weights();
  } finally {
    memory.end = end;
  }
}

/**
 * Return the gradients of a training step, and its effects on the text.
 * @param {import("./model.js").Model} model
 * @param {any} config
 * @param {any} tokenizer
 * @param {number[]} tokens
 * @param {[string, number, number]} weight
 * @param {number} [position]
 * @param {boolean} [unfinished]
 */
export function backward(model, config, tokenizer, tokens, [matrix, row, column], position, unfinished) {
  const weights = model.packed.flat();
  const of = (numbers, name, [row, column]) =>
    rowsOf(model.config, matricesOf(model.config, numbers), { matrix: name, row, column });
  const { numbers: values, columns } = of(weights, matrix, [row, column]);
  const after = weightsAfter(model, config, tokenizer, tokens, unfinished);
  const counted = countedOf(config, tokenizer, tokens, unfinished);
  const n = tokens.length - 1;
  const { grads, factors } = withActivations(model, tokens, (found) =>
    gradients(model, found, tokens, counted),
  );
  const moves = after.map((each, i) => each - weights[i]);
  const i = ((position ?? 0) + n) % n;
  const gradient = gradientOf(factors[matrix]);
  const move = of(moves, matrix, [row, column]).numbers;
  const place = row * columns + column;
  const first = [row, column].map((index) => index - (index % WINDOW));
  const part = (numbers) => {
    const rows = Array.from({ length: numbers.length / columns }, (_, j) =>
      Array.from(numbers.subarray(j * columns, (j + 1) * columns)),
    );
    return rows.slice(first[0], first[0] + WINDOW).map((each) => each.slice(first[1], first[1] + WINDOW));
  };
  const [inputs, outputs] = factors[matrix];
  const pairs = inputs.map((input, j) => [input[column], outputs[j][row]]);
  const [before, later] = [weights, after].map((numbers) => nats(model, numbers, tokens, counted));
  model.setWeights(weights);
  return {
    loss: before / counted.reduce((total, each) => total + each),
    bits_before: before / Math.LN2,
    bits_after: later / Math.LN2,
    optimizer: config.optimizer,
    weight_decay: config.weight_decay,
    lr: config.lr,
    counted,
    gradients:
      position === undefined
        ? {}
        : Object.fromEntries(Object.entries(grads).map(([name, all]) => [name, plain(all[i])])),
    weight: {
      matrix, row, column, value: values[place], gradient: gradient[place], move: move[place],
      factors: TABLES.includes(matrix) ? pairs.map(([x, y]) => [y, x]) : pairs,
      first, gradients: part(gradient), moves: part(move),
    }, // prettier-ignore
  };
}

/** Return 1 for each prediction that counts in the loss, else 0. */
export function countedOf({ text }, { isChat, special }, tokens, unfinished = false) {
  let role = -1;
  return tokens.slice(0, -1).map((token, i) => {
    const isLast = i === tokens.length - 2;
    if (isChat && CHAT_TOKENS.some((name) => special.get(name) === token)) role = token;
    if (unfinished && isLast) return 0;
    if (!isChat) return Number(text === "lines" || !isLast);
    return Number(role === special.get("assistant"));
  });
}

/** Throw an error if these tokens allow no training step. */
function checkStep(counted, size) {
  const n = counted.length;
  if (n > size) {
    throw new EngineError(`a step takes up to ${size} tokens, the context of the model, got ${n}`);
  }
  if (!counted.some(Boolean)) throw new EngineError(NOTHING);
}

/** Return the loss of a model with given weights, over the predictions that count. */
function nats(model, weights, tokens, counted) {
  model.setWeights(weights);
  return model.evaluate([{ tokens }], (losses) =>
    counted.reduce((total, each, i) => total + each * losses[i], 0),
  );
}

/** Return numbers as arrays. */
const plain = (numbers) => Array.from(numbers, (each) => (typeof each === "number" ? each : plain(each)));
