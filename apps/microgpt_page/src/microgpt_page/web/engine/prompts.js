// Encode prompts and conversations. JavaScript version of parts of microgpt/inference.py.

import { fitConversation, translated } from "./chat_truncation.js";
import { EngineError } from "./errors.js";
import { checkLength, checkMessages } from "./requests.js";

const MAX_EXPLAINED = 2 ** 12; // maximum number of characters to explain

export class Prompts {
  #tokenizer;
  #questions;
  #config;

  /** Args: a tokenizer, the data of a reply plug-in, if there is one, and the shape of the model. */
  constructor(tokenizer, questions, config) {
    this.#tokenizer = tokenizer;
    this.#questions = questions;
    this.#config = config;
  }

  /** @returns {number[]} the tokens before the text of a prompt */
  get #opening() {
    const { bos, isChat, special } = this.#tokenizer;
    return isChat ? [bos, special.get("user")] : [bos];
  }

  /**
   * Return the tokens of a prompt, and the tokens that the model reads; see `text_job`.
   * @param {string | number[]} prompt
   */
  ofText(prompt) {
    const { block_size: size, text } = this.#config;
    if (this.#questions) {
      throw new EngineError("the model only answers questions and cannot continue a text; use chat");
    }
    if (this.#opening.length > size) {
      const what = `block_size ${size} is too small for a prompt`;
      throw new EngineError(`${what}; train a model with a larger --block-size`);
    }
    const isText = typeof prompt === "string";
    const tokens = isText ? this.#tokenizer.encode(prompt) : prompt;
    const isOpen = !isText && prompt[0] === this.#tokenizer.bos;
    const isLine = !prompt && text === "stream" && size > 2 && !this.#tokenizer.unknown("\n").length;
    const start = isLine ? this.#tokenizer.encode("\n") : tokens;
    const context = [...(isOpen ? [] : this.#opening), ...start];
    const kept = context.length > size ? Math.min(size, 1 + Math.floor(size / 2)) : context.length;
    const dropped = context.length - kept;
    const read = context.slice(dropped);
    if (size > 1) read[0] = context[0];
    return { tokens, read, dropped };
  }

  /** Return the prompt of a conversation; see `InferenceGpt.chat_prompt`. */
  ofChat(/** @type {import("./tokenizer.js").Message[]} */ messages) {
    const tokenizer = this.#tokenizer;
    checkMessages(messages);
    const { block_size: size } = this.#config;
    const isAsked = messages.at(-1)?.role === "user";
    const chosen = isAsked && this.#questions ? this.#questions.choose(messages) : messages;
    const isReply = typeof chosen === "string";
    const prompt = fitConversation(isReply ? [{ role: "user", content: "" }] : chosen, tokenizer, size);
    prompt.nReplies = messages.filter(({ role }) => role === "assistant").length;
    if (isReply) prompt.fixedReply = tokenizer.encode(translated(chosen, tokenizer.reading(chosen)));
    return prompt;
  }

  /**
   * Return the tokens of a text to explain (for a chat model, a user message), or the tokens of a
   * conversation and the prompt before its last reply.
   * @param {{text?: string, messages?: import("./tokenizer.js").Message[]}} document
   * @returns {{tokens: number[], prompt?: import("./chat_truncation.js").ChatPrompt}}
   */
  ofExplained({ text = "", messages }) {
    const { bos, isChat } = this.#tokenizer;
    if (!messages) {
      checkLength("text", text, MAX_EXPLAINED);
      if (isChat) return { tokens: [bos, ...this.#tokenizer.encodeTurn({ role: "user", content: text })] };
      return { tokens: [bos, ...this.#tokenizer.encode(text), bos] };
    }
    const before = messages.slice();
    const reply = before.at(-1)?.role === "assistant" ? before.splice(-1) : [];
    const prompt = this.ofChat(before);
    const read = [...prompt.messages, ...reply];
    checkMessages(read, MAX_EXPLAINED);
    return { tokens: [bos, ...read.flatMap((message) => this.#tokenizer.encodeTurn(message))], prompt };
  }
}
