// Check the fields of requests, with the error messages of microgpt/config.py and model_config.py.

import { lengthOf } from "./characters.js";
import { EngineError } from "./errors.js";

export const MAX_CHARACTERS = 2 ** 17; // maximum number of characters in a prompt or a chat
const MAX_SIZE = 2 ** 31 - 1;
// The minimum and the maximum of each field, and whether it must be an integer.
const LIMITS = {
  num_samples: [1, 50, true],
  temperature: [0, Infinity],
  seed: [0, Number.MAX_SAFE_INTEGER, true],
  top_k: [1, MAX_SIZE, true],
};

/** Throw an error unless all numbers of a body are valid. */
export function checkNumbers(body) {
  for (const [name, [least, most, isWhole]] of Object.entries(LIMITS)) {
    const value = body[name];
    if (value === undefined || value === null) continue;
    const got = `, got ${value}`;
    if (!Number.isFinite(value)) throw new EngineError(`${name} must be a finite number${got}`);
    if (isWhole && !Number.isInteger(value)) throw new EngineError(`${name} must be an integer${got}`);
    if (value < least) throw new EngineError(`${name} must be >= ${least}${got}`);
    if (value > most) throw new EngineError(`${name} must be <= ${most}${got}`);
  }
}

/** Throw an error unless an integer is in its range; see `check_whole`. */
export function checkWhole(name, value, least, most) {
  if (!Number.isInteger(value)) throw new EngineError(`${name} must be an integer, got ${value}`);
  if (value < least) throw new EngineError(`${name} must be >= ${least}, got ${value}`);
  if (value > most) throw new EngineError(`${name} must be at most ${most}, got ${value}`);
}

/** Throw an error if a model lacks one of the heads, which are pairs of layer and head. */
export function checkHeads({ n_layer: L, n_head: H }, heads) {
  for (const [layer, head] of heads) {
    checkWhole("layer", layer, 0, L - 1);
    checkWhole("head", head, 0, H - 1);
  }
}

/**
 * Throw an error if a text is too long.
 * @param {string} name
 * @param {string} text
 * @param {number} most
 */
export function checkLength(name, text, most) {
  if (lengthOf(text) > most) throw new EngineError(`${name} must have at most ${most} characters`);
}

/** Throw an error if the messages are too long. */
export function checkMessages(messages, most = MAX_CHARACTERS) {
  const n = messages.reduce((total, { content }) => total + lengthOf(content), 0);
  if (n > most) throw new EngineError(`messages have ${n} characters; at most ${most} are allowed`);
}

/** Return the sampling settings in a body. */
export const samplingOf = (body) => ({ temperature: body.temperature ?? 0.5, topK: body.top_k ?? 0 });
