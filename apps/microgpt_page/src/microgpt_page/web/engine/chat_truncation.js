// Truncate a conversation by dropping the oldest turns. JavaScript version of data/context.py.

import { strip } from "./characters.js";
import { EngineError } from "./errors.js";

/**
 * @typedef {object} ChatPrompt
 * @property {number[]} tokens
 * @property {import("./tokenizer.js").Message[]} messages of the remaining turns, as the model reads them
 * @property {number} tokensDropped
 * @property {string} unknownCharacters
 * @property {number} nReplies
 * @property {number[]} [fixedReply] the reply if the last message matches no asking
 */

/**
 * Fit a conversation into the context, leaving a quarter of the context for the reply.
 * @param {import("./tokenizer.js").Message[]} messages
 * @param {number} blockSize
 * @returns {ChatPrompt}
 */
export function fitConversation(messages, tokenizer, blockSize) {
  const table = tokenizer.reading(messages.map(({ content }) => content).join(""));
  const read = messages.map(({ role, content }) => ({ role, content: translated(content, table) }));
  const sizes = read.map(({ content }) => tokenizer.count(content) + 2); // plus the role and the end of the turn
  const room = blockSize - Math.floor(blockSize / 4) - 2;
  const last = sizes[sizes.length - 1];
  if (last > room) {
    throw new EngineError(
      `the message has ${last - 2} ${tokenizer.unit}; at most ${Math.max(0, room - 2)} fit ` +
        `into the context of ${blockSize} tokens (the rest is for special tokens and the reply)`,
    );
  }
  let [first, nTokens] = [sizes.length, 0];
  while (first > 0 && nTokens + sizes[first - 1] <= room) nTokens += sizes[--first];
  while (first > 0 && first < sizes.length - 1 && messages[first].role === "assistant") first++;
  const kept = read.slice(first);
  const turns = kept.map((message) => tokenizer.encodeTurn(message));
  if (strip(messages[messages.length - 1].content) && !strip(tokenizer.decode(turns.at(-1)))) {
    throw new EngineError("no character of the message is in the vocabulary; use other characters");
  }
  return {
    tokens: [tokenizer.bos, ...turns.flat(), tokenizer.special.get("assistant")],
    messages: kept,
    tokensDropped: sizes.slice(0, first).reduce((total, size) => total + size, 0),
    unknownCharacters: [...table.keys()].filter((char) => table.get(char) === null).join(""),
    nReplies: messages.filter(({ role }) => role === "assistant").length,
  };
}

/** Return a text with characters replaced by a table, as in `str.translate`. */
export const translated = (/** @type {string} */ text, table) =>
  Array.from(text, (char) => (table.has(char) ? (table.get(char) ?? "") : char)).join("");
