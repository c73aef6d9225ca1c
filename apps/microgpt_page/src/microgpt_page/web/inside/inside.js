// The view "Look inside": the predictions of the model at each position of a text, and their calculation.

import { query, write } from "../address.js";
import { Bars } from "./bars.js";
import { ask } from "../client.js";
import { Maps } from "../attention_maps.js";
import { Steps } from "./steps.js";
import { Switches } from "./switches.js";
import { Tour } from "./tour.js";
import { textsOf } from "./units.js";
import {
  byId,
  conversation,
  element,
  instead,
  isSpecial,
  known,
  missing,
  nats,
  percent,
  quoted,
  showText,
  shown,
  tell,
  unknown,
  unread,
} from "../text.js";
import { compareTexts } from "./writing.js";

const positions = byId("positions");
// Explanations of the colours, for the forward and the backward direction.
const LEGENDS = [
  "Blue: positive numbers; orange: negative. Point at one to see how it is made.",
  "Gradients: if a blue number grows, the loss rises; orange: it falls. The maps show attention.",
];
const TOP = 20; // alternatives that are shown, at most
const GREETING = "hello"; // a question for any chat model that knows its letters
const [N_EXAMPLE, N_REPLY] = [12, 8]; // tokens of the first text and the first reply, at most
const DARK_BITS = 8; // surprise, in bits, with the strongest colour

export class Inside {
  #model;
  #lastReply;
  #before = []; // messages before the question, of user and model in turn
  #found = null; // the explanation without details
  #unchanged = null; // the explanation of the unchanged model, if changed
  #cut = null; // the part of a long text that fits into the context
  #at = 0; // position whose prediction is shown: after token `#at` of what the model reads
  #requests = {}; // AbortControllers by purpose
  #bars;
  #maps;
  #steps;
  #switches;
  #tour;
  #facts = new Map(); // promises of facts on the model, by name
  #texts = null; // a promise of texts of the unchanged model

  /** Args: a model, and a function that returns parameters for the last reply in the chat, if any. */
  constructor(model, lastReply) {
    this.#model = model;
    this.#lastReply = lastReply;
    this.#bars = new Bars(model, {
      changed: () => {
        this.#steps.sample();
        this.#write();
      },
      drawn: (...drawn) => this.#append(...drawn),
      restarted: () => this.#restart(),
    });
    this.#switches = new Switches(model, () => this.#explain(this.#at));
    this.#steps = new Steps(model, {
      chosen: (layer) => {
        this.#switches.draw(this.#steps.chosen);
        if (this.#maps.choose(layer)) this.#turn(layer);
        this.#write();
      },
      changed: () => this.#explainNumbers(),
      stepped: () => this.#switches.learn(this.#text, this.#contents, this.#ending),
      matrix: (name) => this.#once(name, () => ask("matrix", { name, ...this.#switches.body })),
      units: (layer) => this.#askOfTexts("units", { layer }),
      sampling: () => this.#bars.sampling,
      toggled: (...part) => this.#switches.toggle(...part),
      ended: () => byId("draw").click(),
    });
    const place = { layer: byId("layer"), maps: this.#steps.flow.maps, sentence: byId("attended") };
    this.#maps = new Maps(place, model, {
      changed: () => this.#turn(this.#maps.layer),
      pointed: (weights, row, ...cell) => {
        this.#shade(weights);
        this.#steps.point(...(row === this.#at ? cell : [null]));
      },
      chosen: (row, step, column) => {
        this.#steps.open(step, column);
        this.#choose(row);
      },
      caption: (...head) => this.#steps.flow.head(...head),
    });
    this.#tour = new Tour(model, {
      shown: () => query(this.#parameters),
      show: (parameters) => this.show(parameters),
    });
    byId("leave-out").addEventListener("click", () => {
      this.#before = [];
      this.#explain(Infinity);
    });
    byId("read").addEventListener("input", ({ target }) => {
      if (target === byId("text")) byId("ends").checked = false;
      if (target !== byId("ends")) this.#tour.keep();
      this.#explain(target === byId("ends") ? this.#at : Infinity);
    });
    positions.addEventListener("keydown", (event) => this.#move(event));
    positions.addEventListener("click", ({ target }) => {
      const token = target.closest(".token");
      if (token) this.#choose([...positions.children].indexOf(token));
    });
  }

  show(parameters) {
    this.#tour.complete(parameters);
    this.#bars.read(parameters);
    this.#maps.read(parameters);
    this.#steps.read(parameters);
    this.#maps.choose(this.#steps.layer);
    this.#steps.turnTo(this.#maps.layer);
    this.#switches.read(parameters);
    if (!["text", "question", "m"].some((name) => parameters.has(name))) {
      this.#showExample();
      return;
    }
    this.#fill({ ...Object.fromEntries(parameters), m: parameters.getAll("m") });
    this.#explain(Math.trunc(parameters.get("at") ?? Infinity) || 0);
  }

  #fill({ m = [], question = "", text = "", unfinished = !text }) {
    byId("ends").checked = !unfinished;
    this.#before = m;
    byId("question").value = question;
    byId("text").value = text;
  }

  /** Show a suitable text: the last reply in the chat, or a text that the model writes. */
  async #showExample() {
    const last = this.#model.chat && this.#lastReply();
    if (last) this.#bars.read(new URLSearchParams(last));
    const signal = this.#begin("example");
    const example = last || (await this.#writeExample(signal).catch(() => ({})));
    if (signal.aborted) return; // a text was typed meanwhile
    this.#fill(example);
    this.#explain(Infinity);
  }

  /** Let the model write a reply to a greeting, or a text; return the values of the form's fields. */
  async #writeExample(signal) {
    const question = this.#model.chat && !missing(GREETING, this.#model) ? GREETING : "";
    if (this.#model.chat && !question) return {};
    const most = question ? N_REPLY : N_EXAMPLE;
    const text = question
      ? await ask("chat", { messages: conversation([question]), max_tokens: most }, signal)
      : (await ask("generate", { max_tokens: most }, signal)).samples[0];
    return { question, text, unfinished: text.length >= most };
  }

  get #text() {
    return this.#cut ?? known(byId("text").value, this.#model);
  }

  /** The contents of the messages, of which the last is the reply so far. */
  get #contents() {
    return [...this.#before, byId("question").value, this.#text];
  }

  /** The field of a request that excludes the end of an unfinished text. */
  get #ending() {
    return byId("ends").checked && this.#cut === null ? {} : { unfinished: true };
  }

  get #isEmpty() {
    return !this.#text && !this.#before.length && Boolean(this.#ending.unfinished);
  }

  #document() {
    const read = this.#model.chat ? { messages: conversation(this.#contents) } : { text: this.#text };
    return { ...read, ...this.#ending };
  }

  #write() {
    write("inside", { ...this.#parameters, ...this.#tour.parameters });
  }

  /** The current state, as parameters of an address. */
  get #parameters() {
    return {
      m: this.#before,
      question: this.#model.chat ? byId("question").value : undefined,
      text: byId("text").value,
      unfinished: byId("ends").checked || !byId("text").value ? undefined : 1,
      at: this.#at === this.#last ? undefined : this.#at,
      ...this.#bars.parameters,
      ...this.#maps.parameters,
      ...this.#steps.parameters,
      ...this.#switches.parameters,
    };
  }

  get #last() {
    return this.#found ? this.#found.read.length - 1 : 0;
  }

  /** Whether the next token is known at the position: in a finished text, it may be the end. */
  get #hasCome() {
    const { n_scored: n, predictions } = this.#found;
    return this.#at < this.#last || (!this.#ending.unfinished && n === predictions.length);
  }

  /** Return the signal of a request, which replaces another one for the same purpose. */
  #begin(purpose) {
    this.#requests[purpose]?.abort();
    this.#requests[purpose] = new AbortController();
    return this.#requests[purpose].signal;
  }

  /** Explain the text of the form, and choose a position, at most the last. */
  async #explain(at) {
    for (const other of Object.values(this.#requests)) other.abort();
    tell();
    this.#cut = null;
    this.#facts.clear();
    showText("instead", instead(byId("text").value, this.#model));
    byId("before").hidden = !this.#before.length;
    byId("before-count").textContent = this.#before.length;
    this.#write();
    let found = await this.#ask("text", { top: TOP });
    if (!found) return;
    const { block_size: size } = this.#model;
    const n = found.read.length;
    if (n > size) {
      const cut = await this.#try("text", (signal) => ask("decode", { tokens: tokensOf(found, size) }, signal));
      if (!cut) return;
      this.#cut = cut.text.replace(/\ufffd+$/, ""); // drops an incomplete character
      found = await this.#ask("text", { top: TOP });
      if (!found) return;
    }
    const problem = `The text has ${n} tokens with the start token; at most ${size} fit into the
      context of the model.`;
    if (found.read.length > size) {
      this.#refuse(problem);
      return;
    }
    this.#unchanged = this.#switches.isOn ? await this.#ask("unchanged", { top: TOP }, {}) : null;
    if (this.#switches.isOn && !this.#unchanged) return;
    this.#found = found;
    const isRunning = !this.#ending.unfinished && found.n_scored < found.predictions.length;
    if (isRunning) byId("ending").hidden = true; // running text has no end
    this.#steps.learnNames(found);
    this.#refuse("");
    byId("explained").hidden = false;
    const cut = n > size ? `${problem} The first ${found.read.length} are shown.` : "";
    byId("cut").textContent = `${unread(found)} ${cut}`.trim();
    let special = null; // the last special token
    const tokens = found.read.map((label, i) => {
      const isLearned = special === (this.#model.chat ? "<|assistant|>" : "<|bos|>");
      if (isSpecial(label)) special = label;
      return this.#token(label, i, isLearned);
    });
    positions.replaceChildren(...tokens);
    this.#choose(Math.max(0, Math.min(at, this.#last)));
    this.#explainAttention();
    byId("written").hidden = true;
    const messages = this.#model.chat ? conversation(this.#contents.slice(0, -1)) : null;
    if (!this.#switches.isOn) return;
    this.#try("written", (signal) => compareTexts(messages, this.#switches.body, signal));
  }

  /** Show a problem, if there is one, instead of explanations. */
  #refuse(problem) {
    showText("unreadable", problem);
    if (problem) byId("effect").textContent = "";
    byId("explained").hidden = true;
  }

  /** Return an explanation. If the request fails, show the problem and return undefined. */
  async #ask(purpose, options, changes = this.#switches.body) {
    const problem = unknown(this.#text, this.#model);
    if (problem || (this.#model.chat && !byId("question").value.trim())) {
      this.#refuse(problem);
      return;
    }
    const body = { ...this.#document(), ...changes, ...options };
    return this.#try(purpose, (signal) => ask("explain", body, signal));
  }

  /** Return the answer to a request. If the request fails, show the problem and return undefined. */
  async #try(purpose, request) {
    const signal = this.#begin(purpose);
    try {
      return await request(signal);
    } catch (error) {
      if (signal.aborted) return;
      if (["numbers", "parts", "written"].includes(purpose)) tell(error);
      else this.#refuse(error.message);
      if (purpose === "numbers") this.#steps.forward();
    }
  }

  /** Show another layer, counted from 0. */
  #turn(layer) {
    this.#steps.turnTo(layer);
    this.#explainAttention();
    if (this.#found) this.#explainNumbers();
  }

  /** Return a promise of statistics of texts that the model writes. */
  #askOfTexts(name, body) {
    const changes = this.#switches.body;
    return this.#once(`${name} ${body.layer}`, async () => {
      this.#texts ??= textsOf(this.#model);
      return ask(name, { texts: await this.#texts, ...body, ...changes });
    });
  }

  /** Return a promise of statistics of the model, which are requested only once. */
  #once(name, asked) {
    const found = this.#facts.get(name) ?? asked().catch(() => null);
    this.#facts.set(name, found);
    return found;
  }

  async #explainAttention() {
    this.#write();
    const options = { top: 0, attention: this.#maps.heads };
    const found = await this.#ask("attention", options);
    if (found) this.#maps.draw(found.attention, found.read);
    if (found) this.#steps.flow.choose(this.#steps.chosen, this.#steps.number);
  }

  #token(label, i, isLearned) {
    const look = { className: "token", id: `position-${i}`, role: "option", ariaSelected: "false" };
    const token = element("span", look, shown(label));
    if (isSpecial(label)) token.classList.add("special");
    const came = isLearned && this.#found.predictions[i - 1];
    if (came) token.style.setProperty("--surprise", Math.min(1, came.bits / DARK_BITS));
    if (came) token.title = `surprise of ${nats(came.bits)}`;
    return token;
  }

  /** Choose the position after token i of what the model reads. */
  async #choose(i) {
    this.#at = i;
    const { read, predictions } = this.#found;
    [...positions.children].forEach((token, j) => (token.ariaSelected = String(j === i)));
    positions.setAttribute("aria-activedescendant", `position-${i}`);
    const chosen = positions.children[i];
    positions.scrollTop += chosen.getBoundingClientRect().top - positions.getBoundingClientRect().top - 60;
    const [now, hasCome] = [predictions[i], this.#hasCome];
    this.#maps.frame(i);
    const likeliest = now.alternatives[0];
    const name = (label) => quoted(label, true);
    const before = read.slice(0, i + 1);
    const after = before.slice(before.findLastIndex(isSpecial) + 1).map((label) => shown(label));
    const end = `${after.length > 24 ? "…" : ""}${after.slice(-24).join("")}`;
    const where = `after ${after.length ? `“${end}”` : quoted(read[i])}`;
    const start = where.replace("a", "A");
    const came = hasCome ? ` What came is ${name(now.text)}: a surprise of ${nats(now.bits)}.` : "";
    showText("drawn", "");
    byId("sentence").textContent = `${start}, the most likely is ${name(likeliest.text)}.${came}`;
    this.#bars.draw(now, i === this.#last, hasCome);
    this.#tellEffect(now);
    this.#explainNumbers();
  }

  /** Show the numbers at the position, and the purpose of the parts of the model. */
  async #explainNumbers() {
    this.#write();
    if (this.#isEmpty && this.#steps.isBackward) {
      this.#steps.forward();
      tell(new Error("There is nothing to learn yet: write a text first, or a reply."));
      return;
    }
    const [i, { read, predictions }] = [this.#at, this.#found];
    const isLast = i === this.#last;
    if (!this.#hasCome && i && this.#steps.isBackward) {
      this.#choose(i - 1); // the next token, from which it learns, is unknown
      return;
    }
    const place = { top: 0, position: i };
    const found = await this.#ask("numbers", { ...place, ...this.#steps.request });
    if (!found) return;
    const isFull = isLast && read.length === this.#model.block_size;
    const isGiven = i < firstOf(read) - 1;
    this.#bars.setLogits(found.activations.logits, !isGiven && !isFull);
    if (isFull) showText("drawn", `The context of ${read.length} tokens is full. Choose an earlier token to draw from there.`);
    if (isGiven) showText("drawn", "The model writes only replies. Choose a token of the reply to draw from there.");
    const isOff = (...key) => this.#switches.isOff(...key);
    const now = this.#hasCome ? predictions[i] : null;
    this.#steps.draw(found, read, i, now, isOff, this.#switches.isEdited);
    this.#tour.reached();
    this.#maps.rest = LEGENDS[Number(this.#steps.isBackward)];
    this.#switches.draw(this.#steps.chosen);
    const parts = await this.#ask("parts", { ...place, ablations: true });
    const { signal } = this.#requests.parts;
    const means = parts && (await this.#askOfTexts("parts", {}));
    const heads = parts && (await this.#askOfTexts("heads", {}));
    const isWithout = (...part) => this.#switches.isWithout(...part);
    const isAny = this.#bitsOf(this.#found) > 0;
    if (parts && !signal.aborted) this.#steps.drawParts(parts.ablations, means ?? [], heads ?? [], isWithout, isAny);
  }

  /** Show how the changes of the model affect the text and the current prediction. */
  #tellEffect(now) {
    if (!this.#unchanged) return;
    const before = this.#unchanged.predictions[this.#at];
    const here = this.#hasCome
      ? `Here, the probability of ${quoted(now.text, true)} was ${percent(before.probability)} and is ${percent(now.probability)}. `
      : "";
    byId("effect").textContent =
      `Surprise at the whole ${this.#model.chat ? "reply" : "text"}: ` +
      `${nats(this.#bitsOf(this.#unchanged))} before, ${nats(this.#bitsOf(this.#found))} now. ` +
      here;
  }

  /** Return the sum of the bits of the tokens that the model has learned to predict: in a chat, the replies. */
  #bitsOf({ bits, read, predictions }) {
    if (!this.#model.chat) return bits;
    const isReply = (i) => read.slice(0, i + 1).findLast(isSpecial) === "<|assistant|>";
    const counts = (i) => isReply(i) && (i < this.#last || !this.#ending.unfinished);
    return predictions.reduce((sum, each, i) => sum + (counts(i) ? each.bits : 0), 0);
  }

  #move(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (!step || !this.#found) return;
    event.preventDefault();
    this.#choose(Math.max(0, Math.min(this.#last, this.#at + step)));
  }

  /** Shade the tokens by the attention weights of a row of a map, or by surprise. */
  #shade(row) {
    positions.classList.toggle("attended", row !== null);
    [...positions.children].forEach((token, j) => token.style.setProperty("--weight", row?.[j] ?? 0));
  }

  /** Begin a new text after a finished one. */
  #restart() {
    this.#fill({ m: this.#before, question: byId("question").value });
    this.#explain(Infinity);
  }

  /** Continue the text at the position with a token, and go to its end. */
  async #append(token, probability) {
    const tokens = [...tokensOf(this.#found, this.#at + 1), token];
    try {
      const { text, label } = await ask("decode", { tokens }, this.#begin("draw"));
      if (nBroken(text) > nBroken(byId("text").value)) {
        showText("drawn", "Drawn: a part of a character. It cannot be shown; draw again.");
        return;
      }
      byId("text").value = text;
      byId("ends").checked = isSpecial(label);
      await this.#explain(Infinity);
      const hasEnded = isSpecial(label);
      if (hasEnded) this.#bars.end();
      const end = ", so the text has ended. Start again, or draw from an earlier token";
      showText("drawn", `Drawn: ${quoted(label, true)} (${percent(probability)})${hasEnded ? end : ""}.`);
    } catch (error) {
      tell(error);
    }
  }
}

/** Return the index of the first token of the text, or of the reply, in what the model reads. */
const firstOf = (read) => read.findLastIndex(isSpecial) + 1;

/** Return the tokens of the text, or of the reply, among the first n that the model reads. */
const tokensOf = ({ read, predictions }, n) =>
  predictions.slice(firstOf(read) - 1, n - 1).map(({ token }) => token); // each is read next

/** Return the number of signs for an incomplete character in a text. */
const nBroken = (text) => text.split("\ufffd").length - 1;
