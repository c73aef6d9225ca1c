// Remove documents from a training run, or add documents to it.

import { repr, strip } from "./characters.js";
import { chunksOfDocument } from "./documents.js";
import { EngineError } from "./errors.js";

/**
 * A change of one document: it is removed if `document` is its index, or added if `text` is its text.
 * @typedef {{document?: number, text?: string}} Change
 */
/**
 * The user's request: remove the documents that begin with a text, or add texts.
 * @typedef {{kind: "without", start: string} | {kind: "with", texts: string}} Wish
 */
/** @typedef {ReturnType<typeof import("./documents.js").dataOf>} Data */

/**
 * Return the changes of documents that a request asks for.
 * @param {Wish} wish
 * @param {Data} data
 * @returns {Change[]}
 */
export function changesOf(wish, { documents, tokenizer }) {
  if (wish.kind === "without") return leftOut(documents, wish.start);
  const texts = wish.texts.split("\n").map(strip).filter(Boolean);
  if (!texts.length) throw new EngineError("there is nothing to add; write one document per line");
  for (const text of texts) tokenizer.encode(text); // throws an error if a character is unknown
  return texts.map((text) => ({ text }));
}

function leftOut(documents, start) {
  const found = [...documents.keys()].filter((i) => documents[i].startsWith(start));
  const n = documents.length.toLocaleString("en");
  if (!found.length) throw new EngineError(`none of the ${n} training documents begins with ${repr(start)}`);
  if (found.length === documents.length) {
    throw new EngineError(`all ${n} training documents begin with ${repr(start)}; leave out fewer`);
  }
  return found.map((document) => ({ document }));
}

/**
 * Return the chunks that the changed training run reads, in order.
 *
 * The changed training run reads n chunks. Added chunk j of k
 * is read at index floor((2j + 1) n / 2k).
 * @param {number[]} order of the chunks without changes
 * @param {Change[]} changes
 * @param {Data} data
 * @param {number} size tokens of the context
 * @param {number} nPlaces maximum number of chunks that are read
 */
export function changedReading(order, changes, { train, tokenizer }, size, nPlaces) {
  const chunksOf = (text) => chunksOfDocument(text, tokenizer, size);
  const leftOut = new Set(changes.map(({ document }) => document));
  const read = order.map((i) => train[i]).filter(({ document }) => !leftOut.has(document));
  const added = changes.flatMap(({ text }) => (text === undefined ? [] : chunksOf(text)));
  const n = Math.min(read.length + added.length, nPlaces);
  if (added.length > n) {
    const [many, few] = [added.length, n].map((each) => each.toLocaleString("en"));
    throw new EngineError(`the training reads ${few} documents, fewer than the ${many} to add; add fewer`);
  }
  added.forEach((chunk, j) => read.splice(Math.floor(((2 * j + 1) * n) / (2 * added.length)), 0, chunk));
  return read;
}
