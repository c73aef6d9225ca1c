// The engine of a page without a service: a model that answers requests as the service does.
//
// It answers the paths that the playground uses, with the JSON and the error messages of routes/.

import { BpeTokenizer } from "./bpe.js";
import { lengthOf, strip } from "./characters.js";
import { fitConversation, translated } from "./chat_truncation.js";
import { crc32 } from "./checksum.js";
import { Decoder } from "./decoder.js";
import { DocumentHashes } from "./document_hashes.js";
import { EngineError } from "./errors.js";
import { explain } from "./explanation.js";
import { FoldingTokenizer } from "./folding.js";
import { KnownQuestions } from "./known_questions.js";
import { LocalModel } from "./model.js";
import {
  MAX_CHARACTERS, checkLength, checkMessages, checkNumbers, maxNewTokens, samplingOf,
} from "./requests.js"; // prettier-ignore
import { CharTokenizer } from "./tokenizer.js";
import { countWeights } from "./weights.js";

const FORMAT = 1;
const IGNORED_ROLES = ["system", "developer"];
const MAX_PROMPT_COPIES = 2 ** 20; // maximum number of characters of the prompt in all samples
const MAX_EXPLAINED = 2 ** 12; // maximum number of characters to explain
const MAX_ALTERNATIVES = 2 ** 17; // maximum number of likely tokens in an explanation
const MAX_NUMBERS = 2 ** 20; // maximum number of attention weights in an explanation
const SEED_BITS = 53;

/**
 * What local_file.py writes. `parts` are bytes; `sizes` and `checksums` are those of each.
 * @typedef {object} LocalFile
 * @property {number} format
 * @property {any} model the answer to GET microgpt/v1/model
 * @property {"lines" | "stream"} text the kind of text that the model was trained on
 * @property {"float16" | "float32"} dtype of the weights
 * @property {number[]} rates
 * @property {{rows: Record<string, string[]>, buffers: Record<string, string[]>}} layout
 * @property {{pieces: string[], merges: number[]}} [bpe]
 * @property {any} [questions]
 * @property {Record<string, number>} sizes
 * @property {Record<string, number>} checksums
 * @property {Record<string, Uint8Array>} parts weights, decode, evaluate, uniforms, documents
 */

export class LocalEngine {
  #file;
  #model;
  #tokenizer;
  #questions;
  #documents;
  #idle = Promise.resolve(); // the end of the request before: one is answered at a time
  #nReplies = 0;

  /** @param {LocalFile} file */
  constructor(file) {
    check(file);
    const { model, bpe, questions, parts } = file;
    this.#file = file;
    if (bpe) this.#tokenizer = new BpeTokenizer(bpe.pieces, bpe.merges, model.chat);
    else this.#tokenizer = new (model.fold ? FoldingTokenizer : CharTokenizer)(model.characters, model.chat);
    if (this.#tokenizer.bos + 1 !== model.vocab_size) throw damaged("its vocabulary is incomplete");
    this.#model = new LocalModel(file);
    this.#questions = questions && new KnownQuestions(questions);
    this.#documents = parts.documents && new DocumentHashes(parts.documents);
  }

  /** Return the answer to a GET request. @param {string} path */
  get(path) {
    const { model } = this.#file;
    if (path === "microgpt/v1/model") return model;
    if (path === "health") return { status: "ok", model: model.name, version: model.version };
    throw new EngineError(`/${path} does not exist`);
  }

  /**
   * Return the answer to a POST request.
   * @param {string} path @param {any} body @param {AbortSignal} [signal]
   */
  async post(path, body, signal) {
    const routes = {
      "microgpt/v1/generate": () => this.#generate(body, signal),
      "microgpt/v1/explain": () => this.#explain(body),
      "v1/completions": () => this.#echo(body),
    };
    if (!routes[path]) throw new EngineError(`/${path} does not exist`);
    const end = await this.#begin(signal);
    try {
      return await routes[path]();
    } finally {
      end();
    }
  }

  /**
   * Yield the events of a reply to a conversation. Whoever leaves the loop early ends the work.
   * @param {string} path @param {any} body @param {AbortSignal} [signal]
   */
  async *stream(path, body, signal) {
    if (path !== "v1/chat/completions") throw new EngineError(`/${path} does not exist`);
    const end = await this.#begin(signal);
    try {
      yield* this.#chat(body, signal);
    } finally {
      end();
    }
  }

  /** Wait for the request before; return a function that ends this one and frees its memory. */
  async #begin(signal) {
    const before = this.#idle;
    let resolve;
    this.#idle = new Promise((done) => (resolve = done));
    await before;
    const { memory } = this.#model;
    const start = memory.end;
    const end = () => {
      memory.release(start);
      resolve();
    };
    if (signal?.aborted) end();
    signal?.throwIfAborted();
    return end;
  }

  async #generate(body, signal) {
    checkNumbers(body);
    const { prompt = "", num_samples: n = 1 } = body;
    checkLength("prompt", prompt, MAX_CHARACTERS);
    const length = n * lengthOf(prompt);
    if (length > MAX_PROMPT_COPIES) {
      const what = "num_samples times the length of the prompt";
      throw new EngineError(`${what} must be <= ${MAX_PROMPT_COPIES}, got ${length}`);
    }
    const { context, dropped } = this.#prompt(prompt, false);
    const texts = new Array(n).fill(prompt);
    const decode = texts.map(() => this.#tokenizer.decoder());
    const prompts = texts.map(() => context);
    const rules = this.#rules(body, [...this.#tokenizer.special.values()], [], 0);
    for await (const taken of this.#decode(prompts, rules, body.seed ?? 42, signal)) {
      taken.forEach(({ tokens }, i) => (texts[i] += decode[i](tokens)));
    }
    const samples = texts.map((text, i) => text + decode[i]([], true));
    const known = body.known && this.#documents;
    return {
      samples,
      ...(dropped && { tokens_dropped: dropped }),
      ...(known && { known: samples.map((text) => known.has(text)) }),
    };
  }

  async *#chat(body, signal) {
    checkNumbers(body);
    const tokenizer = this.#tokenizer;
    body.messages.forEach(({ role, content }, i) => {
      if (role === "user" && !strip(content)) throw new EngineError(`messages[${i}]: content must not be empty`);
    });
    const prompt = this.#chatPrompt(body.messages);
    const endTurn = tokenizer.special.get("end_turn");
    const forbidden = [...tokenizer.special.values()].filter((token) => token !== endTurn);
    const rules = this.#rules(body, [endTurn], forbidden, 1);
    const seed = BigInt(body.seed ?? Math.floor(Math.random() * 2 ** SEED_BITS));
    const decode = tokenizer.decoder();
    const event = this.#events({
      tokens_dropped: prompt.tokensDropped,
      unknown_characters: prompt.unknownCharacters,
    });
    const parts = prompt.fixedReply
      ? [[fixed(prompt.fixedReply, rules.maxTokens)]]
      : this.#decode([prompt.tokens], rules, seed + BigInt(prompt.nReplies), signal);
    for await (const [{ tokens, end }] of parts) {
      yield* event(decode(tokens, end !== null), end);
    }
  }

  /** Return a function that yields the events of a part of a reply. @param {object} extra facts */
  #events(extra) {
    const { name, version } = this.#file.model;
    const head = {
      id: `chatcmpl-${++this.#nReplies}`,
      object: "chat.completion.chunk",
      created: Math.floor(Date.now() / 1000),
      model: name,
      system_fingerprint: version,
    };
    let isFirst = true;
    const chunk = (delta, reason = null) => ({
      ...head,
      choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }],
    });
    return function* event(content, end) {
      if (content || (end && isFirst)) {
        yield isFirst ? { ...chunk({ role: "assistant", content }), ...extra } : chunk({ content });
        isFirst = false;
      }
      if (end) yield chunk({}, end);
    };
  }

  #explain(body) {
    checkNumbers(body);
    const tokenizer = this.#tokenizer;
    const { text, top = 5, attention = [], position } = body;
    const { block_size: size } = this.#file.model;
    const { tokens, prompt } = text === undefined ? this.#conversation(body.messages) : this.#text(text);
    const n = tokens.length - 1;
    if (n * top > MAX_ALTERNATIVES) {
      const most = Math.floor(MAX_ALTERNATIVES / n);
      throw new EngineError(`top must be <= ${most} for ${n} tokens, got ${top}`);
    }
    const nNumbers = Math.floor((attention.length * Math.min(n, size) ** 2) / 2);
    if (nNumbers > MAX_NUMBERS) {
      const shown = nNumbers.toLocaleString("en");
      throw new EngineError(`${shown} attention weights are too many; ask for fewer heads`);
    }
    const wanted = { top, attention, position };
    const found = explain(this.#model, tokenizer, tokens, wanted, this.#file.text === "lines");
    return {
      ...found,
      ...(prompt?.tokensDropped && { tokens_dropped: prompt.tokensDropped }),
      ...(prompt?.unknownCharacters && { unknown_characters: prompt.unknownCharacters }),
    };
  }

  /** Return the tokens of a text to explain; for a chat model, of a message of the user. */
  #text(text) {
    checkLength("text", text, MAX_EXPLAINED);
    const tokenizer = this.#tokenizer;
    if (tokenizer.isChat) {
      return { tokens: [tokenizer.bos, ...tokenizer.encodeTurn({ role: "user", content: text })] };
    }
    return { tokens: [tokenizer.bos, ...tokenizer.encode(text), tokenizer.bos] };
  }

  /** Return the tokens of a conversation to explain, as the model reads it. */
  #conversation(messages) {
    const tokenizer = this.#tokenizer;
    const before = messages.filter(({ role }) => !IGNORED_ROLES.includes(role));
    const reply = before.at(-1)?.role === "assistant" ? [before.pop()] : [];
    const prompt = this.#chatPrompt(before);
    const document = [...prompt.messages, ...reply];
    const n = document.reduce((total, { content }) => total + lengthOf(content), 0);
    if (n > MAX_EXPLAINED) {
      throw new EngineError(`messages have ${n} characters; at most ${MAX_EXPLAINED} are allowed`);
    }
    const turns = document.flatMap((message) => tokenizer.encodeTurn(message));
    return { tokens: [tokenizer.bos, ...turns], prompt };
  }

  /** Return the text of tokens, and the label of each. */
  #echo({ prompt, echo, max_tokens: maxTokens }) {
    if (!echo || maxTokens !== 0) throw new EngineError("without a service, only echo with max_tokens 0 is supported");
    const tokenizer = this.#tokenizer;
    const { opening, dropped } = this.#prompt(prompt, true);
    if (dropped) {
      const size = this.#file.model.block_size;
      throw new EngineError(`with echo, a prompt must fit into the context of ${size} tokens; omit echo`);
    }
    const isText = typeof prompt === "string";
    const tokens = isText ? opening.slice(this.#opening.length) : opening.slice(-prompt.length);
    const logprobs = { tokens: tokens.map((token) => tokenizer.label(token)) };
    return { choices: [{ index: 0, text: tokenizer.decode(tokens), logprobs, finish_reason: "length" }] };
  }

  /** The tokens before the text of a prompt. */
  get #opening() {
    const { bos, isChat, special } = this.#tokenizer;
    return isChat ? [bos, special.get("user")] : [bos];
  }

  /** Return the tokens of a prompt, and those that fit into the context; see `text_job`. */
  #prompt(prompt, isEcho) {
    const { block_size: size, vocab_size: nTokens } = this.#file.model;
    if (this.#questions && !isEcho) {
      throw new EngineError("the model answers questions and cannot continue a text; use a chat");
    }
    if (this.#opening.length > size) {
      const what = `block_size ${size} is too small for a prompt`;
      throw new EngineError(`${what}; train a model with a larger --block-size`);
    }
    const isText = typeof prompt === "string";
    const tokens = isText ? this.#tokenizer.encode(prompt) : prompt;
    if (tokens.some((token) => token < 0 || token >= nTokens)) {
      throw new EngineError(`the tokens of a prompt must be from 0 to ${nTokens - 1}`);
    }
    const isOpen = !isText && prompt[0] === this.#tokenizer.bos;
    const opening = [...(isOpen ? [] : this.#opening), ...tokens];
    const kept = Math.min(size, 1 + Math.floor(size / 2)); // of a full context, in a new one
    const last = opening.slice(-kept);
    if (size > 1) last[0] = opening[0];
    const context = opening.length > size ? last : opening;
    return { opening, context, dropped: opening.length - context.length };
  }

  /** Return the prompt of a conversation; see `InferenceGpt.chat_prompt`. */
  #chatPrompt(given) {
    const tokenizer = this.#tokenizer;
    const messages = given.filter(({ role }) => !IGNORED_ROLES.includes(role));
    checkMessages(messages, tokenizer);
    const { block_size: size } = this.#file.model;
    const isKnown = this.#questions && messages.at(-1).role === "user";
    if (!isKnown) return fitConversation(messages, tokenizer, size);
    const known = this.#questions.find(messages);
    const isReply = typeof known === "string";
    const prompt = fitConversation(isReply ? [{ role: "user", content: "" }] : known, tokenizer, size);
    prompt.nReplies = messages.filter(({ role }) => role === "assistant").length;
    if (isReply) prompt.fixedReply = tokenizer.encode(translated(known, tokenizer.reading(known)));
    return prompt;
  }

  /** @returns {import("./decoder.js").Rules} */
  #rules(body, stop, forbidden, minTokens) {
    const maxTokens = maxNewTokens(body.max_tokens, this.#file.model.block_size);
    return { stop, forbidden, minTokens, maxTokens, sampling: samplingOf(body) };
  }

  /** Yield what a batch has generated since the last time; between slices, messages are received. */
  async *#decode(prompts, rules, seed, signal) {
    const seeds = prompts.map((_, i) => BigInt(seed) + BigInt(i));
    const decoder = new Decoder(this.#model, prompts, rules, seeds);
    while (decoder.run()) {
      yield decoder.take();
      await pause();
      signal?.throwIfAborted();
    }
    yield decoder.take();
  }
}

/** Return a fixed reply, cut to the most tokens. */
function fixed(reply, maxTokens) {
  const tokens = reply.slice(0, maxTokens ?? reply.length);
  return { tokens, end: tokens.length === reply.length ? "stop" : "length" };
}

/** Let other tasks run. Unlike that of a timer, their turn comes at once. */
function pause() {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

const damaged = (what) => new EngineError(`This file is damaged: ${what}. Ask for another copy of it.`);

/** Throw an error unless the file is whole. @param {LocalFile} file */
function check({ format, model, dtype, sizes, checksums, parts }) {
  if (format !== FORMAT) throw damaged(`its format is ${format}, not ${FORMAT}`);
  for (const [name, size] of Object.entries(sizes)) {
    const n = parts[name]?.length ?? 0;
    if (n !== size) throw damaged(`its part “${name}” has ${n} bytes, not ${size}`);
    if (crc32(parts[name]) !== checksums[name]) throw damaged(`its part “${name}” has other bytes`);
  }
  const wanted = countWeights(model) * (dtype === "float16" ? 2 : 4);
  if (parts.weights?.length !== wanted) throw damaged("its weights are not those of its model");
}
