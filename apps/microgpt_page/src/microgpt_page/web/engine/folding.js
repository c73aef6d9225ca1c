// A character tokenizer that folds case and accents. JavaScript version of data/folding.py.

import { SPACE, isSpace, lengthOf } from "./characters.js";
import { CharTokenizer } from "./tokenizer.js";

const MARKS = /[\u0300-\u036f]/g; // combining diacritical marks
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu;
const SINGLE_QUOTES = /[\u2018-\u201b\u2039\u203a]/g;
const DOUBLE_QUOTES = /[^\P{Quotation_Mark}']/gu;
const CHEROKEE = /[\u13a0-\u13fd\uab70-\uabbf]/; // Cherokee letters, whose small forms fold to capitals
// Replacements for letters and punctuation that have no decomposition in Unicode.
const PLAIN = {
  æ: "ae", đ: "d", ð: "d", ħ: "h", ı: "i", ł: "l", ø: "o", œ: "oe", þ: "th",
  "‘": "'", "’": "'", "“": '"', "”": '"', "„": '"', "–": "-", "—": "-",
}; // prettier-ignore

/** Fold case and remove accents: "Straße" becomes "strasse". */
export function fold(/** @type {string} */ text) {
  const folded = Array.from(text.normalize("NFKD"), caseFolded).join("").normalize("NFKD");
  return Array.from(folded.replace(MARKS, "").normalize("NFC"), (char) => PLAIN[char] ?? char).join("");
}

/** Fold a text, use one form of dashes, quotes and spaces, and drop invisible characters. */
export function plain(/** @type {string} */ text) {
  const folded = fold(text).replace(INVISIBLE, "").replace(/\p{Dash}/gu, "-");
  const quoted = folded.replace(SINGLE_QUOTES, "'").replace(DOUBLE_QUOTES, '"');
  return quoted.split(new RegExp(SPACE)).filter(Boolean).join(" ");
}

/** Return a character folded as by `str.casefold`; JavaScript itself only converts to upper or lower case. */
function caseFolded(char) {
  if (CHEROKEE.test(char)) return char.toUpperCase();
  return char === "ẞ" ? "ss" : char.toUpperCase().toLowerCase();
}

export class FoldingTokenizer extends CharTokenizer {
  /** Return the tokens of a character (none for a combining mark), or undefined if it is unknown. */
  tokensOf(/** @type {string} */ char) {
    const known = super.tokensOf(char);
    if (known) return known;
    const folded = isSpace(char) ? " " : fold(char);
    const tokens = [...folded].flatMap((each) => super.tokensOf(each) ?? []);
    return tokens.length === lengthOf(folded) ? tokens : undefined;
  }

  /** Return the number of tokens, counting each unknown character as one. */
  count(/** @type {string} */ text) {
    return [...text].reduce((n, char) => n + (this.tokensOf(char)?.length ?? 1), 0);
  }
}
