// Special tokens, which all tokenizers have, and the character tokenizer. JavaScript version of data/tokenizer.py.

import { isSpace, lengthOf, repr } from "./characters.js";
import { EngineError } from "./errors.js";

export const CHAT_TOKENS = ["user", "assistant", "end_turn"];

/** @typedef {{role: string, content: string}} Message */

/** Base class with the special tokens, whose ids follow those of the text. Subclasses encode and decode text. */
export class Tokenizer {
  constructor(/** @type {string[]} */ pieces, /** @type {boolean} */ isChat) {
    const names = [...(isChat ? CHAT_TOKENS : []), "bos"];
    this.isChat = isChat;
    this.pieces = pieces;
    this.special = new Map(names.map((name, i) => [name, pieces.length + i]));
    this.bos = pieces.length + names.length - 1;
  }

  /**
   * Return the replacement for each unknown character, or null if the character is dropped.
   * @this {any}
   * @param {string} text
   * @returns {Map<string, string | null>}
   */
  reading(text) {
    const space = this.unknown(" ").length ? null : " ";
    return new Map(this.unknown(text).map((char) => [char, isSpace(char) ? space : null]));
  }

  /**
   * Return the tokens of one turn.
   * @this {any}
   * @param {Message} message
   * @returns {number[]}
   */
  encodeTurn({ role, content }) {
    return [this.special.get(role), ...this.encode(content), this.special.get("end_turn")];
  }

  /**
   * Return the text of a token, or the name of a special token, such as "<|user|>".
   * @this {any}
   * @param {number} token
   * @returns {string}
   */
  label(token) {
    if (token < this.pieces.length) return this.pieceLabel(token);
    return `<|${[...this.special.keys()][token - this.pieces.length]}|>`;
  }
}

export class CharTokenizer extends Tokenizer {
  /** Args: the characters of the vocabulary in token order, and whether there are special tokens for a chat. */
  constructor(/** @type {string} */ chars, /** @type {boolean} */ isChat) {
    super([...chars], isChat);
    this.tokenOf = new Map(this.pieces.map((char, token) => [char, token]));
    this.unit = "characters";
  }

  /** Return the tokens of a character, or undefined if it is unknown. */
  tokensOf(/** @type {string} */ char) {
    const token = this.tokenOf.get(char);
    return token === undefined ? undefined : [token];
  }

  /** Return the distinct unknown characters of a text. */
  unknown(/** @type {string} */ text) {
    return [...new Set(text)].filter((char) => !this.tokensOf(char));
  }

  /** Return the tokens of a text. */
  encode(/** @type {string} */ text) {
    return [...text].flatMap((char) => this.tokensOf(char) ?? this.#refuse(text));
  }

  /** @returns {never} */
  #refuse(text) {
    const unknown = this.unknown(text).map(repr).join(", ");
    const known = repr(this.pieces.join(""));
    throw new EngineError(`the vocabulary does not contain ${unknown}; use only ${known}`);
  }

  /** Return the number of tokens of a text. */
  count(/** @type {string} */ text) {
    return lengthOf(text);
  }

  /** Return the text of tokens, without special tokens. */
  decode(/** @type {number[]} */ tokens) {
    return tokens.map((token) => this.pieces[token] ?? "").join("");
  }

  /** Return a function that decodes tokens as they arrive. */
  decoder() {
    return (tokens) => this.decode(tokens);
  }

  pieceLabel(token) {
    return this.pieces[token];
  }
}
