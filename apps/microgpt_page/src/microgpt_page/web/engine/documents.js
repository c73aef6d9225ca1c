// Read training texts. JavaScript version of data/documents.py, data/split.py and data/context.py.

import { strip } from "./characters.js";
import { windows } from "./dataset.js";
import { EngineError } from "./errors.js";
import { plain } from "./folding.js";
import { round } from "./rounding.js";
import { sha256 } from "./sha256.js";
import { CharTokenizer } from "./tokenizer.js";

const encoder = new TextEncoder();
const MAX_STRETCHES = 10; // maximum number of held-out windows of running text
const MIN_STRETCH = 2000; // minimum length in characters
const PIECE = /[^]{50}/gu; // 50 characters of running text, compared at once

/** @typedef {{train: string[], validation: string[]}} Split */
/** @typedef {import("./dataset.js").Chunk & {document?: number}} DocumentChunk of a training document */

/** Return the text of a file without the last line ending; other line endings become \n. */
export function textOf(/** @type {Uint8Array} */ bytes) {
  const text = withPlainEnds(decode(bytes));
  if (!strip(text)) throw new EngineError("the file has no text; use another file");
  return text.endsWith("\n") ? text.slice(0, -1) : text;
}

function decode(bytes) {
  const mark = bytes.slice(0, 2).join(" "); // which editors on Windows write before UTF-16
  if (mark === "255 254") return new TextDecoder("utf-16le").decode(bytes);
  if (mark === "254 255") return new TextDecoder("utf-16be").decode(bytes);
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes); // drops a byte order mark
    if (!text.includes("\0")) return text;
  } catch {} // the file is not UTF-8
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const before = text.slice(0, text.search(/[\ufffd\0]/));
  const line = withPlainEnds(before).split("\n").length;
  const byte = bytes[encoder.encode(before).length].toString(16).padStart(2, "0");
  const where = `(line ${line.toLocaleString("en")} has the byte 0x${byte})`;
  throw new EngineError(`the file is not UTF-8 text ${where}; save it as UTF-8, as with iconv -t utf-8`);
}

const withPlainEnds = (text) => text.replaceAll("\r\n", "\n").replaceAll("\r", "\n");

/**
 * Return a tokenizer for a text, the documents to train on, and the chunks for training and for
 * validation.
 * @param {string} text
 * @param {object} how
 * @param {"lines" | "stream"} how.text whether each line is a document, or all is running text
 * @param {number} how.validation fraction of the text to hold out
 * @param {number} how.size tokens of the context
 */
export function dataOf(text, { text: kind, validation, size }) {
  const lines = text.split("\n").map(strip).filter(Boolean);
  const isStream = kind === "stream";
  const parts = isStream ? splitStream(text, validation, size) : split(lines, validation);
  const tokenizer = characterTokenizer(isStream ? text : lines.join(""));
  const { bos } = tokenizer;
  /** @returns {DocumentChunk[]} */
  const chunksOf = (documents, stride) =>
    documents.flatMap((each, document) => {
      if (isStream) return windows([bos, ...tokenizer.encode(each)], size, stride, bos);
      return chunksOfDocument(each, tokenizer, size).map((chunk) => ({ ...chunk, document }));
    });
  const train = chunksOf(parts.train, size);
  const mark = isStream ? markOf(parts) : "";
  return { tokenizer, documents: parts.train, train, validation: chunksOf(parts.validation), mark };
}

/** Return the mark of the held-out loss if a part of the held-out running text is also trained on, as in Python. */
function markOf(/** @type {Split} */ { train, validation }) {
  const known = plain(train.join("\n"));
  const pieces = validation.flatMap((each) => plain(each).match(PIECE) ?? [plain(each)]);
  const nKnown = pieces.filter((piece) => known.includes(piece)).length;
  return nKnown ? ` (contamination ${Number(((100 * nKnown) / pieces.length).toPrecision(3))} %)` : "";
}

/** Return the chunks of one document for a context of `size` tokens. */
export function chunksOfDocument(/** @type {string} */ text, /** @type {CharTokenizer} */ tokenizer, size) {
  return windows([tokenizer.bos, ...tokenizer.encode(text), tokenizer.bos], size);
}

/** Return a tokenizer with all characters of a text. */
function characterTokenizer(/** @type {string} */ text) {
  const code = (char) => char.codePointAt(0);
  return new CharTokenizer([...new Set(text)].sort((a, b) => code(a) - code(b)).join(""), false);
}

/** Split documents by hash and remove duplicates; if the fraction is 0, all documents are for training. */
function split(/** @type {string[]} */ documents, /** @type {number} */ validation) {
  /** @type {Split} */
  const parts = { train: validation ? [] : documents, validation: [] };
  // Unlike in Python, texts that fold to the same form are in the same part, so no held-out text is trained on.
  const partOf = /** @type {Map<string, string[]>} */ (new Map());
  for (const each of validation ? new Set(documents) : []) {
    const place = parseInt(sha256(encoder.encode(each)).slice(0, 8), 16) / 2 ** 32;
    const part = partOf.get(plain(each)) ?? (place >= 1 - validation ? parts.validation : parts.train);
    partOf.set(plain(each), part);
    part.push(each);
  }
  const n = parts.train.length + parts.validation.length;
  checkParts(parts, validation, n === documents.length ? "documents" : "distinct documents", n);
  return parts;
}

/** Hold out evenly spaced windows of running text, with a gap around each; see `split_stream`. */
function splitStream(/** @type {string} */ text, /** @type {number} */ validation, gap) {
  if (!validation) return { train: [text], validation: [] };
  const chars = [...text];
  const free = 1 - validation;
  const shortest = Math.max(MIN_STRETCH, 4 * gap);
  const nMost = Math.floor((chars.length * Math.min(free, validation)) / shortest);
  const n = Math.max(1, Math.min(MAX_STRETCHES, nMost));
  const parts = { train: /** @type {string[]} */ ([]), validation: /** @type {string[]} */ ([]) };
  let start = 0; // start of the next part to train on
  for (let section = 0; section < n; section++) {
    const place = section + free / 2; // start of the window, in n equal sections
    const first = round((chars.length * place) / n);
    const end = round((chars.length * (place + validation)) / n);
    parts.train.push(chars.slice(start, Math.max(start, first - gap)).join(""));
    parts.validation.push(chars.slice(first, end).join(""));
    start = end + gap;
  }
  parts.train.push(chars.slice(start).join(""));
  const found = { train: parts.train.filter(Boolean), validation: parts.validation.filter(Boolean) };
  checkParts(found, validation, "characters", chars.length);
  return found;
}

/** Throw an error if a part is empty. */
function checkParts(/** @type {Split} */ parts, validation, what, n) {
  const [name] = Object.entries(parts).find(([, texts]) => !texts.length) ?? [];
  if (!validation || !name) return;
  const more = what === "characters" ? "text" : "documents";
  const shown = n.toLocaleString("en");
  throw new EngineError(`the ${name} split is empty, as there are too few ${what} (${shown}); add ${more}`);
}
