// Treat characters as Python does: code points, white space, and their form in error messages.

/** The characters of `str.isspace` without U+001C to U+001F, for a class of a regular expression. */
export const BLANK = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
export const SPACE = `[\\x1c-\\x1f${BLANK}]`;
const IS_SPACE = new RegExp(`^${SPACE}$`);
const UNPRINTABLE = /[\p{C}\p{Z}]/u;
const NAMED = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };

/** Return the number of characters (code points) of a text. */
export const lengthOf = (/** @type {string} */ text) => [...text].length;

/** Return whether a character is white space. */
export const isSpace = (/** @type {string} */ char) => IS_SPACE.test(char);

/** Return a text without white space at its ends. */
export function strip(/** @type {string} */ text) {
  let start = 0;
  while (start < text.length && isSpace(text[start])) start++;
  return stripEnd(text.slice(start));
}

/** Return a text without white space at its end. A regular expression would take quadratic time. */
export function stripEnd(/** @type {string} */ text) {
  let end = text.length;
  while (end && isSpace(text[end - 1])) end--;
  return text.slice(0, end);
}

/** Return a text as `repr` shows it. */
export function repr(/** @type {string} */ text) {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const shown = Array.from(text, (char) => {
    if (char === quote) return `\\${char}`;
    if (NAMED[char]) return NAMED[char];
    if (char === " " || !UNPRINTABLE.test(char)) return char;
    const code = char.codePointAt(0) ?? 0;
    const [letter, n] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
    return `\\${letter}${code.toString(16).padStart(n, "0")}`;
  });
  return quote + shown.join("") + quote;
}
