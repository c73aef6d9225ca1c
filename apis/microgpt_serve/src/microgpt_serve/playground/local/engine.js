// The engine of a page without a service: a model that answers requests as the service does.
//
// It answers the paths that the playground uses, with the JSON and the error messages of routes/.

import { backward, weightsAfter } from "./backward.js";
import { BpeTokenizer } from "./bpe.js";
import { lengthOf, strip } from "./characters.js";
import { Decoder } from "./decoder.js";
import { edited, hasEdits } from "./edits.js";
import { EngineError } from "./errors.js";
import { explain } from "./explanation.js";
import { FoldingTokenizer } from "./folding.js";
import { KnownQuestions } from "./known_questions.js";
import { drawUniforms } from "./mersenne_twister.js";
import { LocalModel } from "./model.js";
import { Prompts } from "./prompts.js";
import { MAX_CHARACTERS, checkLength, checkNumbers, maxNewTokens, samplingOf } from "./requests.js";
import { CharTokenizer } from "./tokenizer.js";

const MAX_PROMPT_COPIES = 2 ** 20; // maximum number of characters of the prompt in all samples
const MAX_ALTERNATIVES = 2 ** 17; // maximum number of likely tokens in an explanation
const MAX_NUMBERS = 2 ** 20; // maximum number of attention weights in an explanation
const SEED_BITS = 53;

export class LocalEngine {
  #file;
  #model;
  #tokenizer;
  #prompts;
  #idle = Promise.resolve(); // the end of the request before: one is answered at a time

  /**
   * @param {import("./file.js").LocalFile} file
   * @param {LocalModel} [loaded] its model, if it is in use
   */
  constructor(file, loaded) {
    const { model, bpe, questions } = file;
    this.#file = file;
    const Characters = model.fold ? FoldingTokenizer : CharTokenizer;
    this.#tokenizer = bpe
      ? new BpeTokenizer(bpe.pieces, bpe.merges, model.chat)
      : new Characters(model.characters, model.chat);
    this.#model = loaded ?? new LocalModel(file);
    this.#prompts = new Prompts(this.#tokenizer, questions && new KnownQuestions(questions), model);
  }

  /** Return the answer to a GET request. */
  get(/** @type {string} */ path) {
    const { model } = this.#file;
    return path === "health" ? { status: "ok", model: model.name, version: model.version } : model;
  }

  /** Return the answer to a POST request. */
  async post(/** @type {string} */ path, body, /** @type {AbortSignal | undefined} */ signal) {
    const routes = {
      "microgpt/v1/generate": () => this.#changed(body, () => this.#generate(body, signal)),
      "microgpt/v1/explain": () => this.#changed(body, () => this.#explain(body)),
      "microgpt/v1/chat": () => {
        checkSaid(body.messages);
        return this.#changed(body, () => this.#reply(body, signal));
      },
      "v1/completions": () => this.#echo(body),
    };
    const end = await this.#begin(signal);
    try {
      return await routes[path]();
    } finally {
      end();
    }
  }

  /** Yield the events of a reply, or of a text. Whoever leaves the loop early ends the work. */
  async *stream(/** @type {string} */ path, body, /** @type {AbortSignal | undefined} */ signal) {
    const routes = {
      "v1/chat/completions": () => this.#chat(body, signal),
      "v1/completions": () => this.#complete(body, signal),
    };
    const end = await this.#begin(signal);
    try {
      yield* routes[path]();
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
      memory.end = start;
      resolve();
    };
    if (signal?.aborted) end();
    signal?.throwIfAborted();
    return end;
  }

  async #generate(body, signal) {
    checkNumbers(body);
    if (["matches", "starts", "ends", "min_length", "max_length"].some((name) => body[name])) {
      throw new EngineError("a page without a service cannot select texts; use microgpt generate");
    }
    const { prompt = "", num_samples: n = 1 } = body;
    checkLength("prompt", prompt, MAX_CHARACTERS);
    const length = n * lengthOf(prompt);
    if (length > MAX_PROMPT_COPIES) {
      const what = "num_samples times the length of the prompt";
      throw new EngineError(`${what} must be <= ${MAX_PROMPT_COPIES}, got ${length}`);
    }
    const { read, dropped } = this.#prompts.ofText(prompt);
    const texts = new Array(n).fill(prompt);
    const decode = texts.map(() => this.#tokenizer.decoder());
    const prompts = texts.map(() => read);
    const rules = this.#rules(body, [...this.#tokenizer.special.values()], [], 0);
    for await (const taken of this.#decode(prompts, rules, body.seed ?? 42, signal)) {
      taken.forEach(({ tokens }, i) => (texts[i] += decode[i](tokens)));
    }
    const samples = texts.map((text, i) => text + decode[i]([], true));
    return { samples, ...(dropped && { tokens_dropped: dropped }) };
  }

  /** Return a whole reply. */
  async #reply(body, signal) {
    let content = "";
    const events = this.#chat({ seed: 42, ...body }, signal);
    for await (const { choices } of events) content += choices[0].delta.content ?? "";
    return { role: "assistant", content };
  }

  async *#chat(body, signal) {
    checkNumbers(body);
    checkSaid(body.messages);
    const tokenizer = this.#tokenizer;
    const prompt = this.#prompts.ofChat(body.messages);
    const endTurn = tokenizer.special.get("end_turn");
    const forbidden = [...tokenizer.special.values()].filter((token) => token !== endTurn);
    const rules = this.#rules(body, [endTurn], forbidden, 1);
    const decode = tokenizer.decoder();
    const event = events({
      tokens_dropped: prompt.tokensDropped,
      unknown_characters: prompt.unknownCharacters,
    });
    const parts = prompt.fixedReply
      ? [[fixed(prompt.fixedReply, rules.maxTokens)]]
      : this.#decode([prompt.tokens], rules, seedOf(body) + BigInt(prompt.nReplies), signal);
    for await (const [{ tokens, end }] of parts) yield* event(decode(tokens, end !== null), end);
  }

  /** Yield the parts of a text that continues a prompt. */
  async *#complete(body, signal) {
    checkNumbers(body);
    const { read, dropped } = this.#prompts.ofText(body.prompt);
    const decode = this.#tokenizer.decoder();
    const rules = this.#rules(body, [...this.#tokenizer.special.values()], [], 0);
    let extra = dropped ? { tokens_dropped: dropped } : {};
    for await (const [{ tokens, end }] of this.#decode([read], rules, seedOf(body), signal)) {
      const text = decode(tokens, end !== null);
      yield { choices: [{ index: 0, text, logprobs: null, finish_reason: end }], ...extra };
      extra = {};
    }
  }

  #explain(body) {
    checkNumbers(body);
    const { top = 5, attention = [], position } = body;
    const { block_size: size } = this.#file.model;
    const { tokens, prompt } = this.#prompts.ofExplained(body);
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
    const { ablations, backward: weight, unfinished } = body;
    const [model, tokenizer, step] = [this.#model, this.#tokenizer, this.#file.step];
    const wanted = { top, attention, position, ablations, backward: weight, step, unfinished };
    return {
      ...explain(model, tokenizer, tokens, wanted, this.#file.text === "lines"),
      ...(weight && { backward: backward(model, step, tokenizer, tokens, weight, position, unfinished) }),
      ...(prompt?.tokensDropped && { tokens_dropped: prompt.tokensDropped }),
      ...(prompt?.unknownCharacters && { unknown_characters: prompt.unknownCharacters }),
    };
  }

  /**
   * Return the result of a function with the changed model of a request.
   * @template T
   * @param {() => T | Promise<T>} use
   */
  async #changed(body, use) {
    if (!hasEdits(body)) return use();
    const model = this.#model;
    const weights = model.packed.flat();
    try {
      for (const each of body.learn ?? []) {
        const { tokens } = this.#prompts.ofExplained(each);
        model.setWeights(weightsAfter(model, this.#file.step, this.#tokenizer, tokens, each.unfinished));
      }
      model.setWeights(edited(model.config, model.packed.flat(), body));
      return await use();
    } finally {
      model.setWeights(weights);
    }
  }

  /** Return the text of tokens, and the label of each. */
  #echo({ prompt }) {
    const { tokens, dropped } = this.#prompts.ofText(prompt, false);
    if (dropped) {
      const { block_size: size } = this.#file.model;
      const what = `with echo, a prompt must fit into the context of ${size} tokens`;
      throw new EngineError(`${what}; omit echo`);
    }
    const logprobs = { tokens: tokens.map((token) => this.#tokenizer.label(token)) };
    const text = this.#tokenizer.decode(tokens);
    return { choices: [{ index: 0, text, logprobs, finish_reason: "length" }] };
  }

  /** @returns {import("./decoder.js").Rules} */
  #rules(body, stop, forbidden, minTokens) {
    const maxTokens = maxNewTokens(body.max_tokens, this.#file.model.block_size);
    const sampling = samplingOf(this.#file.questions ? { temperature: 0 } : body); // see `reply_job`
    return { stop, forbidden, minTokens, maxTokens, sampling };
  }

  /** Yield what a batch has generated since the last time; between slices, messages are received. */
  async *#decode(prompts, rules, seed, signal) {
    const seeds = prompts.map((_, i) => BigInt(seed) + BigInt(i));
    const fill = (uniforms, n) => drawUniforms(this.#model.memory, seeds, uniforms, n);
    const decoder = new Decoder(this.#model, prompts, rules, fill);
    while (decoder.run()) {
      yield decoder.take();
      await pause();
      signal?.throwIfAborted();
    }
    yield decoder.take();
  }
}

/** Return a function that yields the events of a part of a reply. Args: facts for the first event. */
function events(extra) {
  let isFirst = true;
  const chunk = (delta, reason = null) => ({
    object: "chat.completion.chunk",
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

/** Return the seed of a body, or a random one. */
const seedOf = ({ seed }) => BigInt(seed ?? Math.floor(Math.random() * 2 ** SEED_BITS));

/** Throw an error if the user says nothing. */
function checkSaid(messages) {
  messages.forEach(({ role, content }, i) => {
    if (role !== "user" || strip(content)) return;
    throw new EngineError(`messages[${i}]: content must not be empty`);
  });
}

/** Return a fixed reply, cut to the most tokens. */
function fixed(reply, maxTokens) {
  const tokens = reply.slice(0, maxTokens ?? reply.length);
  return { tokens, end: tokens.length === reply.length ? "stop" : "length" };
}

/** Let other tasks run. Unlike that of a timer, their turn comes at once. */
export async function pause() {
  const { port1, port2 } = new MessageChannel();
  port2.postMessage(null);
  await new Promise((resolve) => (port1.onmessage = resolve));
  port1.close();
}
