// Settings of a model to train and of its training, and its file. Equals config.py, model_config.py
// and model_variants.py.

import { EngineError } from "./errors.js";
import { checkWhole } from "./requests.js";
import { round } from "./rounding.js";
import { defaultLr } from "./trainer.js";
import { countWeights } from "./weights.js";

const ROTARY_BASE = 10_000;
const MAX_SIZE = 2 ** 31 - 1;
const MAX_WEIGHTS = 2 ** 24; // as in html_file.py

/** Return the settings of a training: the defaults, and others that are given. */
export function configOf(/** @type {import("./file.js").EngineFile} */ { defaults }, given) {
  const config = { ...defaults.config, ...given };
  checkSizes(config, ["steps", "batch_size"]);
  checkSizes(config, ["seed"], 0, Number.MAX_SAFE_INTEGER);
  if (config.lr !== null && !(config.lr > 0 && Number.isFinite(config.lr))) {
    throw new EngineError(`lr must be a number greater than 0, got ${config.lr}`);
  }
  return config;
}

/**
 * Return the file of a model whose weights are 0.
 * @param {import("./file.js").EngineFile} file
 * @param {any} shape fields of `ModelConfig` that differ from the defaults
 * @param {import("./tokenizer.js").CharTokenizer} tokenizer
 * @param {"lines" | "stream"} text the kind of text
 * @returns {import("./file.js").LocalFile}
 */
export function untrained({ defaults, layout, parts }, shape, tokenizer, text) {
  const config = { ...defaults.model, ...shape, vocab_size: tokenizer.bos + 1 };
  checkShape(config);
  const num_params = countWeights(config);
  const characters = tokenizer.pieces.join("");
  const kind = { chat: false, answers_few: false, generates: true, examples: [] };
  const about = { ...kind, tokenizer: "char", characters, fold: false };
  return {
    model: { name: "model", version: "", created_at: null, ...about, ...config, num_params },
    text,
    dtype: "float32",
    rates: rotationRates(config),
    step: { ...defaults.config, lr: defaultLr(config.n_embd), text },
    layout,
    parts: { ...parts, weights: new Uint8Array(4 * num_params) },
  };
}

function checkShape(config) {
  const { n_embd: C, n_head: H, positions } = config;
  checkSizes(config, ["n_embd", "n_head", "n_layer", "block_size", "n_ff_exp"]);
  if (positions === "rotary" && Math.floor(C / H) % 2) {
    throw new EngineError("rotary positions need an even number of dimensions per head");
  }
  if (C % H) {
    const other = H * Math.max(1, round(C / H));
    throw new EngineError(`n_embd (${C}) must be divisible by n_head (${H}); try n_embd ${other}`);
  }
  const n = countWeights(config);
  if (n > MAX_WEIGHTS) {
    const [shown, most] = [n, MAX_WEIGHTS].map((each) => each.toLocaleString("en"));
    const what = `the model is too large for a page: it has ${shown} weights`;
    throw new EngineError(`${what}; at most ${most} are allowed`);
  }
}

function checkSizes(config, names, least = 1, most = MAX_SIZE) {
  for (const name of names) checkWhole(name, config[name], least, most);
}

/** Return the angle of each pair of dimensions at position 1; see `angles`. */
function rotationRates({ n_embd: C, n_head: H, positions }) {
  const D = C / H;
  if (positions !== "rotary") return [];
  return Array.from({ length: D / 2 }, (_, i) => ROTARY_BASE ** ((-2 * i) / D));
}
