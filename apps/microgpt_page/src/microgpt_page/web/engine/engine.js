// The engine of the page: it runs a model in a worker, and answers the requests of the views.

import { backward, weightsAfter } from "./backward.js";
import { BpeTokenizer } from "./bpe.js";
import { Decoder } from "./decoder.js";
import { edited, hasEdits, rowsOf } from "./edits.js";
import { EngineError } from "./errors.js";
import { explain, lossesWithout } from "./explanation.js";
import { FoldingTokenizer } from "./folding.js";
import { headsOf } from "./heads.js";
import { Knowledge } from "./knowledge.js";
import { drawUniforms } from "./mersenne_twister.js";
import { Model } from "./model.js";
import { Prompts } from "./prompts.js";
import { MAX_CHARACTERS, checkLength, checkNumbers, checkWhole, samplingOf } from "./requests.js";
import { CharTokenizer } from "./tokenizer.js";
import { unitsOf } from "./units.js";

const MAX_NEW_TOKENS = 2 ** 14;
const MAX_NUMBERS = 2 ** 20; // maximum number of attention weights in an explanation
const SEED_BITS = 53;

export class Engine {
  #file;
  #model;
  #tokenizer;
  #prompts;
  #idle = Promise.resolve(); // the end of the previous request: one is handled at a time

  /**
   * @param {import("./file.js").ModelFile} file
   * @param {Model} [loaded] the model of the file, if it has been loaded already
   */
  constructor(file, loaded) {
    const { model, bpe, questions, text } = file;
    this.#file = file;
    const Characters = model.fold ? FoldingTokenizer : CharTokenizer;
    this.#tokenizer = bpe
      ? new BpeTokenizer(bpe.pieces, bpe.merges, model.chat)
      : new Characters(model.characters, model.chat);
    this.#model = loaded ?? new Model(file);
    this.#prompts = new Prompts(this.#tokenizer, questions && new Knowledge(questions), { ...model, text });
  }

  /** Return the answer to a request: a value, a promise of one, or a generator of parts. */
  answer(/** @type {string} */ name, body, /** @type {AbortSignal | undefined} */ signal) {
    const { model, questions, step } = this.#file;
    const alone = (work) => () => this.#alone(signal, () => this.#changed(body, work));
    const answers = {
      model: () => ({ ...model, lr: step.lr, greeting: questions?.greeting, speaker: questions?.name }),
      generate: alone(() => this.#generate(body, signal)),
      explain: alone(() => this.#explain(body)),
      matrix: alone(() => this.#matrix(body.name)),
      chat: alone(() => this.#chat(body, signal)),
      heads: alone(() => headsOf(this.#model, this.#tokenizer, this.#tokensOf(body))),
      units: alone(() => this.#units(body)),
      parts: alone(() => lossesWithout(this.#model, this.#tokensOf(body))),
      decode: () => ({ text: this.#tokenizer.decode(body.tokens), label: this.#tokenizer.label(body.tokens.at(-1)) }),
      reply: () => this.#inTurn(signal, this.#reply(body, signal)),
      continue: () => this.#inTurn(signal, this.#continue(body, signal)),
    };
    return answers[name]();
  }

  /** Wait for the previous request, then call a function and return its result. */
  async #alone(signal, work) {
    const end = await this.#begin(signal);
    try {
      return await work();
    } finally {
      end();
    }
  }

  /** Wait for the previous request, then yield the parts of an answer. Leaving the loop early ends the work. */
  async *#inTurn(signal, parts) {
    const end = await this.#begin(signal);
    try {
      yield* parts;
    } finally {
      end();
    }
  }

  /** Wait for the previous request; return a function that ends this one and frees its memory. */
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
    const { prompt = "", num_samples: n = 1 } = body;
    checkLength("prompt", prompt, MAX_CHARACTERS);
    const { read, dropped } = this.#prompts.ofText(prompt);
    const texts = new Array(n).fill(prompt);
    const decode = texts.map(() => this.#tokenizer.decoder());
    const prompts = texts.map(() => read);
    const rules = this.#rules(body, [...this.#tokenizer.special.values()]);
    let nCut = 0; // texts that end with a full context
    for await (const taken of this.#decode(prompts, rules, body.seed ?? 42, signal)) {
      taken.forEach(({ tokens }, i) => (texts[i] += decode[i](tokens)));
      nCut = taken.filter(({ end }) => end === "length").length;
    }
    const isCut = nCut > 0 && this.#file.text === "lines" && rules.maxTokens === null;
    const samples = texts.map((text, i) => text + decode[i]([], true));
    return { samples, ...(dropped && { tokens_dropped: dropped }), ...(isCut && { n_cut: nCut }) };
  }

  /** Return a complete reply. */
  async #chat(body, signal) {
    let content = "";
    for await (const { text } of this.#reply({ seed: 42, ...body }, signal)) content += text;
    return content;
  }

  /** Yield the parts of a reply. The first part lists dropped tokens and unknown characters. */
  async *#reply(body, signal) {
    checkNumbers(body);
    const tokenizer = this.#tokenizer;
    const prompt = this.#prompts.ofChat(body.messages);
    const endTurn = tokenizer.special.get("end_turn");
    const forbidden = [...tokenizer.special.values()].filter((token) => token !== endTurn);
    const rules = this.#rules(body, [endTurn], forbidden, 1);
    const decode = tokenizer.decoder();
    yield { text: "", tokens_dropped: prompt.tokensDropped, unknown_characters: prompt.unknownCharacters };
    const parts = prompt.fixedReply
      ? [[fixed(prompt.fixedReply, rules.maxTokens)]]
      : this.#decode([prompt.tokens], rules, seedOf(body) + BigInt(prompt.nReplies), signal);
    for await (const [{ tokens, end }] of parts) yield { text: decode(tokens, end !== null) };
  }

  /** Yield the parts of the text with which the model continues some tokens. */
  async *#continue(body, signal) {
    checkNumbers(body);
    const { read } = this.#prompts.ofText(body.prompt);
    const decode = this.#tokenizer.decoder();
    const rules = this.#rules(body, [...this.#tokenizer.special.values()]);
    for await (const [{ tokens, end }] of this.#decode([read], rules, seedOf(body), signal)) {
      yield { text: decode(tokens, end !== null) };
    }
  }

  #explain(body) {
    checkNumbers(body);
    const { top = 5, attention = [], position } = body;
    const { block_size: size } = this.#file.model;
    const { tokens, prompt } = this.#prompts.ofExplained(body);
    const nNumbers = Math.floor((attention.length * Math.min(tokens.length, size) ** 2) / 2);
    if (nNumbers > MAX_NUMBERS) {
      const shown = nNumbers.toLocaleString("en");
      throw new EngineError(`${shown} attention weights are too many; ask for fewer heads`);
    }
    const { ablations, earlier, backward: weight, unfinished } = body;
    const [model, tokenizer, step] = [this.#model, this.#tokenizer, this.#file.step];
    const wanted = { top, attention, position, earlier, ablations, backward: weight, step, unfinished };
    return {
      ...explain(model, tokenizer, tokens, wanted, this.#file.text === "lines"),
      ...(weight && { backward: backward(model, step, tokenizer, tokens, weight, position, unfinished) }),
      ...(prompt?.tokensDropped && { tokens_dropped: prompt.tokensDropped }),
      ...(prompt?.unknownCharacters && { unknown_characters: prompt.unknownCharacters }),
    };
  }

  /** Return the numbers of a matrix, row by row, and the number of columns. */
  #matrix(name) {
    const { config, matrices } = this.#model;
    const { numbers, columns } = rowsOf(config, matrices, { matrix: name, row: 0, column: 0 });
    return { numbers: numbers.slice(), columns };
  }

  /** Return statistics of the hidden units of a layer on some texts. */
  #units({ texts, layer }) {
    checkWhole("layer", layer, 0, this.#file.model.n_layer - 1);
    return unitsOf(this.#model, this.#tokenizer, this.#tokensOf({ texts }), layer);
  }

  /** Return the tokens of texts, truncated to the context. */
  #tokensOf({ texts }) {
    const size = this.#file.model.block_size;
    return texts.map((text) => this.#prompts.ofExplained({ text }).tokens.slice(0, size + 1));
  }

  /**
   * Call a function with the model that a request has changed, and return the result.
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

  /** @returns {import("./decoder.js").Rules} */
  #rules(body, stop, forbidden = /** @type {number[]} */ ([]), minTokens = 0) {
    const most = this.#file.model.block_size > MAX_NEW_TOKENS ? MAX_NEW_TOKENS : null; // null: as many tokens as fit
    const maxTokens = body.max_tokens ?? most;
    const sampling = samplingOf(this.#file.questions?.is_table ? { temperature: 0 } : body); // see `reply_job`
    return { stop, forbidden, minTokens, maxTokens, sampling };
  }

  /** Yield the new tokens of a batch after each slice; messages are received between slices. */
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

/** Return the seed of a request, or a random seed. */
const seedOf = ({ seed }) => BigInt(seed ?? Math.floor(Math.random() * 2 ** SEED_BITS));

/** Return a fixed reply, truncated to the maximum number of tokens. */
function fixed(reply, maxTokens) {
  const tokens = reply.slice(0, maxTokens ?? reply.length);
  return { tokens, end: tokens.length === reply.length ? "stop" : "length" };
}

/** Let other tasks run, without the delay of a timer. */
export async function pause() {
  const { port1, port2 } = new MessageChannel();
  port2.postMessage(null);
  await new Promise((resolve) => (port1.onmessage = resolve));
  port1.close();
}
