// Byte-level BPE. JavaScript version of data/bpe.py and of the parts of Hugging Face's tokenizers that it uses.
//
// The bytes of a piece are stored as a string with one character, U+0000 to U+00FF, per byte.

import { BLANK, repr } from "./characters.js";
import { EngineError } from "./errors.js";
import { Tokenizer } from "./tokenizer.js";

const ENDINGS = "'s|'t|'re|'ve|'m|'ll|'d";
const MARKS_AND_BLANKS = ` ?[^${BLANK}\\p{L}\\p{N}]+|[${BLANK}]+(?![^${BLANK}])|[${BLANK}]+`;
const WORDS = new RegExp(`${ENDINGS}| ?\\p{L}+| ?\\p{N}+|${MARKS_AND_BLANKS}`, "gu");
const SURROGATES = /[\ud800-\udfff]/gu; // unpaired ones only
const MAX_CACHED_LENGTH = 64;

const isSurrogate = (char) => char.search(SURROGATES) >= 0;
const utf8 = (options) => new TextDecoder("utf-8", { ignoreBOM: true, ...options });
const bytesOf = (piece) => Uint8Array.from([...piece], (char) => char.charCodeAt(0));

export class BpeTokenizer extends Tokenizer {
  #tokenOf;
  #ranks = new Map(); // ranks of merges, by pair of tokens
  #merged = []; // the token that results from each merge
  #missing; // bytes without a token, which an imported vocabulary may have
  #cache = new Map();

  /**
   * @param {string[]} pieces
   * @param {number[]} merges pairs of tokens, flat
   * @param {boolean} isChat
   */
  constructor(pieces, merges, isChat) {
    super(pieces, isChat);
    this.unit = "tokens";
    this.#tokenOf = new Map(pieces.map((piece, token) => [piece, token]));
    const bytes = Array.from({ length: 256 }, (_, byte) => byte);
    this.#missing = new Set(bytes.filter((byte) => !this.#tokenOf.has(String.fromCharCode(byte))));
    for (let i = 0; i < merges.length; i += 2) {
      const [left, right] = [merges[i], merges[i + 1]];
      this.#ranks.set(left * pieces.length + right, i / 2);
      this.#merged.push(this.#tokenOf.get(pieces[left] + pieces[right]));
    }
  }

  /** Return the unpaired surrogates in a text, and the characters with a byte that has no token. */
  unknown(/** @type {string} */ text) {
    if (!this.#missing.size) return [...new Set(text.match(SURROGATES))];
    return [...new Set(text)].filter((char) => !this.#has(char));
  }

  /** @returns {number[]} */
  encode(/** @type {string} */ text) {
    const named = this.unknown(text).map(repr).join(", ");
    const remedy = "remove them, or read the text as UTF-8";
    if (named) throw new EngineError(`the vocabulary has no token for ${named}; ${remedy}`);
    return (text.match(WORDS) ?? []).flatMap((word) => this.#word(word));
  }

  count(text) {
    return this.encode(text).length;
  }

  /** Return whether all bytes of a character are in the vocabulary. */
  #has(char) {
    const bytes = Array.from(new TextEncoder().encode(char));
    return !isSurrogate(char) && !bytes.some((byte) => this.#missing.has(byte));
  }

  #word(word) {
    if (this.#cache.has(word)) return this.#cache.get(word);
    const bytes = new TextEncoder().encode(word);
    let tokens = Array.from(bytes, (byte) => this.#tokenOf.get(String.fromCharCode(byte)));
    for (;;) {
      let best = Infinity;
      for (let i = 1; i < tokens.length; i++) best = Math.min(best, this.#rank(tokens, i));
      if (best === Infinity) break;
      const merged = [];
      for (const token of tokens) {
        const isNext = merged.length > 0 && this.#rank([merged.at(-1), token], 1) === best;
        if (isNext) merged[merged.length - 1] = this.#merged[best];
        else merged.push(token);
      }
      tokens = merged;
    }
    if (word.length <= MAX_CACHED_LENGTH) this.#cache.set(word, tokens);
    return tokens;
  }

  /** Return the rank of the merge of token i with the previous token. */
  #rank(tokens, i) {
    return this.#ranks.get(tokens[i - 1] * this.pieces.length + tokens[i]) ?? Infinity;
  }

  #bytes(tokens) {
    return bytesOf(tokens.map((token) => this.pieces[token] ?? "").join(""));
  }

  /** Return the text of tokens; invalid UTF-8 becomes U+FFFD. */
  decode(/** @type {number[]} */ tokens) {
    return utf8().decode(this.#bytes(tokens));
  }

  /** Return a function that decodes tokens as they arrive, and returns only complete characters. */
  decoder() {
    const decoder = utf8();
    return (tokens, isLast) => decoder.decode(this.#bytes(tokens), { stream: !isLast });
  }

  pieceLabel(token) {
    const bytes = bytesOf(this.pieces[token]);
    try {
      return utf8({ fatal: true }).decode(bytes);
    } catch {
      return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")}`;
    }
  }
}
