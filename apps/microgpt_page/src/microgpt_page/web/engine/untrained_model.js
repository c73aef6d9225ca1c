// Write the file of an untrained model, with the settings of model_config.py.

import { EngineError } from "./errors.js";
import { countWeights } from "./weights.js";

const MAX_WEIGHTS = 2 ** 24; // as in html_export.py

/**
 * Return the file of a model whose weights are 0.
 * @param {import("./file.js").EngineFile} file
 * @param {any} shape fields of `ModelConfig` that differ from the defaults
 * @param {import("./tokenizer.js").CharTokenizer} tokenizer
 * @param {"lines" | "stream"} text the kind of text
 * @returns {import("./file.js").ModelFile}
 */
export function untrained({ defaults, layout, parts }, shape, tokenizer, text) {
  const config = { ...defaults.model, ...shape, vocab_size: tokenizer.bos + 1 };
  const num_params = countWeights(config);
  if (num_params > MAX_WEIGHTS) {
    const [shown, most] = [num_params, MAX_WEIGHTS].map((each) => each.toLocaleString("en"));
    const what = `the model is too large for a page: it has ${shown} weights`;
    throw new EngineError(`${what}; at most ${most} are allowed`);
  }
  const kind = { chat: false, answers_few: false, examples: [] };
  const characters = tokenizer.pieces.join("");
  return {
    model: { name: "model", version: "", ...kind, characters, fold: false, ...config, num_params },
    text,
    dtype: "float32",
    rates: [], // of rotary positions, which it lacks
    step: { ...defaults.config, text },
    layout,
    parts: { ...parts, weights: new Uint8Array(4 * num_params) },
  };
}
