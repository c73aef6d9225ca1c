// Recognise running text, such as a book. JavaScript version of data/statistics.py.

import { SPACE, isSpace, lengthOf, strip, stripEnd } from "./characters.js";

const MAX_LINES = 5000; // maximum number of lines examined
const SPACES = new RegExp(`${SPACE}+`);
const SENTENCE_END = new RegExp(`[\\p{L}\\p{Nl}\\p{No}_][.!?][^${SPACE.slice(1)}? `, "u");
const count = (items, test) => items.filter(test).length;

/** Return the default kind of a text: "lines" or "stream". */
export function kindOf(/** @type {string} */ text) {
  const lines = text.split("\n").slice(0, MAX_LINES).map(stripEnd);
  const texts = lines.filter(Boolean);
  const n = texts.length;
  const nBreaks = count(lines, (line, i) => i && line && !lines[i - 1]);
  if (2 * n >= 3 * (nBreaks + 1) && nBreaks >= 3 && 50 * nBreaks >= n) {
    const nIndented = count(texts, (each) => isSpace(each[0]));
    const nChars = texts.reduce((sum, each) => sum + lengthOf(strip(each)), 0);
    return nChars >= 25 * n || 10 * nIndented >= n ? "stream" : "lines";
  }
  return n >= 20 && hasFullLines(texts) && continuesSentences(texts) ? "stream" : "lines";
}

/** Return whether most lines have nearly the full width, and most end in mid-sentence. */
function hasFullLines(texts) {
  const lengths = texts.map(lengthOf);
  const sorted = [...lengths].sort((a, b) => a - b);
  const width = sorted[Math.floor((texts.length * 95) / 100)]; // ignores a few very long lines
  const nFull = count(lengths, (length) => 3 * width <= 4 * length && length <= width);
  const nEnds = count(texts, (each) => /[.!?:;"'\u201d]$/.test(each));
  return width >= 40 && 4 * nFull >= 3 * texts.length && 2 * nEnds < texts.length;
}

/** Return whether lines continue sentences, unlike logs, arithmetic, chess moves and titles. */
function continuesSentences(texts) {
  const words = texts.map((each) => strip(each).split(SPACES));
  const nWords = words.flat().length;
  const nNumbers = count(words.flat(), (word) => /\p{Nd}/u.test(word));
  const nContinued = count(words, ([first]) => /^(?!\p{Uppercase})\p{L}/u.test(first));
  const nEnds = count(texts, (each) => SENTENCE_END.test(each));
  const firsts = new Map(); // number of lines that begin with each word
  for (const [first] of words) firsts.set(first, (firsts.get(first) ?? 0) + 1);
  const n = texts.length;
  const isVaried = nWords >= 5 * n && 10 * nNumbers <= nWords && 4 * Math.max(...firsts.values()) <= n;
  return isVaried && 5 * nContinued >= 2 * n && 10 * nEnds >= n;
}
