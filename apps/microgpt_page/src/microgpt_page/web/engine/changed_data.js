// Changes of the documents that a training reads: some left out, some added, one instead of another.

import { repr, strip } from "./characters.js";
import { chunksOfDocument } from "./documents.js";
import { EngineError } from "./errors.js";

/**
 * A change of one document: with a number and no text, it is left out; with both, it is changed;
 * without a number, it is added.
 * @typedef {{document?: number, text?: string}} Change
 */
/**
 * What a person asks for: leave out the documents that begin with a text; add texts; or replace a text.
 * @typedef {{kind: "without", start: string} | {kind: "with", texts: string}
 *   | {kind: "instead", text: string, other: string}} Wish
 */
/** @typedef {ReturnType<typeof import("./documents.js").dataOf>} Data */

/**
 * Return the changes of the documents that a wish means.
 * @param {Wish} wish
 * @param {Data} data
 * @returns {Change[]}
 */
export function changesOf(wish, { documents, tokenizer }) {
  if (wish.kind === "without") return leftOut(documents, wish.start);
  if (wish.kind === "with") {
    const texts = wish.texts.split("\n").map(strip).filter(Boolean);
    if (!texts.length) throw new EngineError("there is nothing to add; write one document per line");
    for (const text of texts) tokenizer.encode(text); // throws an error if a character is unknown
    return texts.map((text) => ({ text }));
  }
  const [text, other] = [strip(wish.text), strip(wish.other)];
  const numbers = indices(documents, (each) => each === text);
  if (!numbers.length) throw new EngineError(`no training document is ${repr(text)}`);
  if (!other) throw new EngineError("there is no new text; to leave a document out, choose that");
  if (other === text) throw new EngineError("the new text is the old one; change it");
  tokenizer.encode(other);
  return numbers.map((document) => ({ document, text: other }));
}

const indices = (items, test) => [...items.keys()].filter((i) => test(items[i]));

function leftOut(documents, start) {
  const found = indices(documents, (each) => each.startsWith(start));
  const n = documents.length.toLocaleString("en");
  if (!found.length) throw new EngineError(`none of the ${n} training documents begins with ${repr(start)}`);
  if (found.length === documents.length) {
    throw new EngineError(`all ${n} training documents begin with ${repr(start)}; leave out fewer`);
  }
  return found.map((document) => ({ document }));
}

/**
 * Return the chunks that are read with changes, in their order.
 *
 * The chunks of a changed document are read where its first one was. Of n places, added chunk j of k
 * is at place floor((2j + 1) n / 2k), counted from 0.
 * @param {number[]} order of the chunks without changes
 * @param {Change[]} changes
 * @param {Data} data
 * @param {number} size tokens of the context
 * @param {number} nPlaces maximum number of chunks that are read
 */
export function changedReading(order, changes, { train, tokenizer }, size, nPlaces) {
  const chunksOf = (text) => chunksOfDocument(text, tokenizer, size);
  const instead = new Map(changes.map(({ document, text }) => [document, text]));
  const read = order.flatMap((i) => {
    const { document } = train[i];
    if (!instead.has(document)) return [train[i]];
    const [text, isFirst] = [instead.get(document), train[i - 1]?.document !== document];
    return text !== undefined && isFirst ? chunksOf(text) : [];
  });
  const added = changes.flatMap(({ document, text }) => (document === undefined ? chunksOf(text) : []));
  const n = Math.min(read.length + added.length, nPlaces);
  if (added.length > n) {
    const [many, few] = [added.length, n].map((each) => each.toLocaleString("en"));
    throw new EngineError(`the training reads ${few} documents, fewer than the ${many} to add; add fewer`);
  }
  added.forEach((chunk, j) => read.splice(Math.floor(((2 * j + 1) * n) / (2 * added.length)), 0, chunk));
  return read;
}
