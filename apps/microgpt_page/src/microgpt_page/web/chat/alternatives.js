// Shade each token of a reply by its probability, show alternatives, and continue the reply with one of them.

import { ask } from "../client.js";
import { button, element, isSpecial, percent, printable, quoted, shown, tell } from "../text.js";

const N_ALTERNATIVES = 6;
const MAX_TOKENS = 400; // tokens, at the end of a reply, with alternatives; more would be slow
const REST_MS = 120; // how long the pointer rests on a token before its alternatives are shown
const END = "<|end_turn|>";
const BYTES = /^bytes:/; // labels of parts of a character
const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
const LABEL = "Reply. Arrow keys show alternatives, Enter chooses.";

export class Alternatives {
  #model;
  #chosen;
  #replies = new WeakMap(); // replies by the element of their text
  #box = element("div", { id: "alternatives", role: "group", tabIndex: -1, ariaLive: "polite", hidden: true });
  #at = 0; // the piece whose alternatives are shown
  #timer;

  /** Args: `chosen` is called with the element of a reply, and with the tokens and the text to continue. */
  constructor(model, turns, chosen) {
    this.#model = model;
    this.#chosen = chosen;
    const show = (event) => this.#show(event.target.closest(".said"), event);
    document.addEventListener("pointerover", (event) => {
      clearTimeout(this.#timer);
      const item = event.target.closest("li");
      if (turns.contains(item)) this.#timer = setTimeout(show, REST_MS, event);
      if (item !== this.#box.parentElement && !this.#holds(document.activeElement)) this.#hide();
    });
    turns.addEventListener("click", show);
    turns.addEventListener("focusin", (event) => event.target.matches(".said:focus-visible") && show(event));
    turns.addEventListener("focusout", ({ relatedTarget }) => this.#holds(relatedTarget) || this.#hide());
    turns.addEventListener("keydown", (event) => this.#move(event));
  }

  /** Offer alternatives in an element that shows the last of some messages, a reply. */
  offer(item, messages) {
    const said = item.querySelector(".said");
    Object.assign(said, { tabIndex: 0, role: "group", ariaLabel: LABEL });
    this.#replies.set(said, { item, messages });
    this.#shade(said).catch(() => {}); // a conversation that is too long is not shaded
  }

  /** Shade each token of a reply by its probability, and show the mean. */
  async #shade(said) {
    const { item, pieces, predictions } = await this.#read(said);
    pieces.forEach(({ now }, i) => said.children[i].style.setProperty("--doubt", 1 - now.probability));
    const bits = predictions.reduce((sum, each) => sum + each.bits, 0) / predictions.length;
    const title = "Mean probability of a token; the stronger its colour, the less likely it was";
    item.querySelector(".role").append(element("span", { title }, ` · ${percent(2 ** -bits)} per token`));
  }

  /** Return the explanation of a reply, with its pieces. */
  async #read(said) {
    const reply = this.#replies.get(said);
    reply.answer ??= ask("explain", { messages: reply.messages, top: N_ALTERNATIVES });
    const found = await reply.answer;
    if (!reply.pieces) split(said, reply, found);
    return reply;
  }

  /** Return whether an element belongs to the reply whose alternatives are shown. */
  #holds = (one) => Boolean(this.#box.parentElement?.contains(one));

  #hide() {
    this.#box.hidden = true;
    this.#box.parentElement?.querySelector(".at")?.classList.remove("at");
  }

  /** Show the alternatives at the token of an event; at the first token if the event has no position. */
  async #show(said, { type, clientX, clientY }) {
    const reply = this.#replies.get(said);
    if (!reply) return;
    try {
      await this.#read(said);
    } catch (error) {
      reply.answer = null;
      if (type !== "pointerover") tell(error);
      return;
    }
    const tokens = [...said.children];
    const isShown = this.#holds(said) && !this.#box.hidden;
    const pointed = () => tokens.indexOf(document.elementFromPoint(clientX, clientY));
    const i = type === "focusin" ? Number(isShown && this.#at) : pointed();
    const isThere = said.matches({ focusin: ":focus", pointerover: ":hover" }[type] ?? "*");
    if (tokens[i] && isThere) this.#choose(said, i);
  }

  #choose(said, i) {
    const { item, pieces } = this.#replies.get(said);
    this.#hide();
    this.#at = Math.max(0, Math.min(pieces.length - 1, i));
    const { now } = pieces[this.#at];
    const likeliest = now.alternatives.filter(({ text }) => !isSpecial(text) || (text === END && this.#at));
    const came = likeliest.some(({ token }) => token === now.token) ? [] : [now];
    const buttons = [...likeliest, ...came].map((each) => {
      const label = element("span", { className: "token" }, shown(each.text));
      const made = button(label, () => this.#take(said, each));
      made.append(` ${percent(each.probability)}`);
      made.disabled = BYTES.test(each.text);
      if (each.token === now.token) made.ariaCurrent = "true";
      return made;
    });
    this.#box.replaceChildren(element("span", {}, `Instead of ${quoted(now.text)}:`), ...buttons);
    said.after(this.#box);
    this.#box.hidden = false;
    const token = said.children[this.#at];
    token.classList.add("at");
    const [place, outer] = [token.getBoundingClientRect(), item.getBoundingClientRect()];
    const { offsetWidth: width, offsetHeight: height } = this.#box;
    const isBelow = place.bottom + height < innerHeight || place.top < height;
    const left = Math.min(place.left - outer.left, outer.width - width);
    this.#box.style.left = `${Math.max(0, left)}px`;
    this.#box.style.top = `${(isBelow ? place.bottom : place.top - height) - outer.top}px`;
  }

  #take(said, { token, text }) {
    const { item, pieces, prompt, predictions } = this.#replies.get(said);
    const before = pieces.slice(0, this.#at);
    const start = textOf(before);
    const read = predictions.slice(0, pieces[this.#at].index).map((each) => each.token);
    const tokens = [this.#model.vocab_size - 1, ...prompt, ...read, token];
    this.#hide();
    if (text === END) this.#chosen(item, null, start); // the reply ends there
    else this.#chosen(item, tokens, start + text);
  }

  #move(event) {
    const { key, target } = event;
    if (this.#box.hidden || !this.#holds(target)) return;
    const isText = target.matches(".said");
    if (isText && STEPS[key]) this.#choose(target, this.#at + STEPS[key]);
    else if (isText && key === "Escape") this.#hide();
    else if (isText && (key === "Enter" || key === "ArrowDown")) this.#box.querySelector("button").focus();
    else if (key === "Escape") this.#box.parentElement.querySelector(".said").focus();
    else return;
    event.preventDefault();
  }
}

const textOf = (found) => found.map((piece) => piece.text).join("");

/** Replace the text of a reply by its pieces if these have the same text. */
function split(said, reply, { read, predictions }) {
  const first = read.findLastIndex(isSpecial);
  const found = pieces(predictions.slice(first));
  const long = found.splice(0, Math.max(0, found.length - MAX_TOKENS));
  if (long.length) found.unshift({ ...long[0], text: textOf(long) });
  reply.prompt = predictions.slice(0, first).map(({ token }) => token);
  reply.predictions = predictions.slice(first);
  reply.pieces = textOf(found) === reply.messages.at(-1).content ? found : [];
  if (!reply.pieces.length) return;
  said.replaceChildren(...found.map((piece) => element("span", {}, printable(piece.text))));
  said.lastChild.className = "end";
}

/** Return the texts of a reply's tokens, with the prediction of each; parts of characters are joined. */
function pieces(predictions) {
  const found = [];
  let bytes = [];
  predictions.forEach((now, index) => {
    const isPart = BYTES.test(now.text);
    if (!isPart) bytes = [];
    if (!bytes.length) found.push({ now, index, text: isSpecial(now.text) ? "" : now.text });
    if (!isPart) return;
    bytes.push(...Array.from(now.text.matchAll(/\\x(..)/g), ([, digits]) => parseInt(digits, 16)));
    found.at(-1).text = new TextDecoder().decode(Uint8Array.from(bytes));
  });
  return found;
}
