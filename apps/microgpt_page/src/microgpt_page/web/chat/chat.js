// The view "Chat": a conversation whose replies are streamed.

import { address, write } from "../address.js";
import { Alternatives } from "./alternatives.js";
import { number, sendOnEnter } from "../forms.js";
import { stream } from "../client.js";
import { button, byId, conversation, element, printable, said, showText, tell, unknown, unread } from "../text.js";

const turns = byId("turns");
const message = byId("message");

const page = document.documentElement;
const SLACK = 40; // pixels from the end of the page at which new text is followed

/** Focus the message field, unless that would open a phone's keyboard or scroll an outer page. */
const focus = () => matchMedia("(pointer: fine)").matches && message.focus({ preventScroll: parent !== window });

/** Return whether the end of the page is in view. */
const isAtEnd = () => scrollY + innerHeight > page.scrollHeight - SLACK;

/** Scroll to the last message, unless another view is shown. */
const scroll = () => byId("chat").hidden || scrollTo(0, page.scrollHeight);

/** Show a notice at the end of the page, and keep the last message in view. */
function tellBelow(notice) {
  const isFollowed = isAtEnd();
  byId("dropped").textContent = notice;
  if (isFollowed) scroll();
}

export class Chat {
  #model;
  #place; // storage key of the conversation of this tab
  #talk; // messages; a reply may note, for example, what the model has not read
  #alternatives;
  #isReloaded; // after a reload, the address may be older than what is stored
  #note = ""; // the note of the reply that is being streamed
  #last = null; // the conversation before "New conversation"
  #edited = null; // the index of the message that the user edits
  #running = null; // AbortController of the reply that is being streamed

  constructor(model) {
    this.#model = model;
    this.#place = `microgpt-chat ${location.pathname} ${model.version}`;
    const stored = this.#stored();
    this.#talk = stored ?? [];
    this.#isReloaded = stored && performance.getEntriesByType("navigation")[0]?.type === "reload";
    this.#alternatives = new Alternatives(model, turns, (...all) => this.#branch(...all));
    const texts = model.examples.length ? model.examples : ["hello"].filter((text) => !unknown(text, model));
    byId("examples").append(...texts.map((text) => button(printable(text), () => this.#send(text))));
    showText("greeting", printable(model.greeting ?? ""));
    byId("say").addEventListener("submit", () => this.#send(message.value.trim())); // as on the command line
    sendOnEnter(message);
    byId("chat-sampling").hidden = byId("doubt").hidden = model.answers_few;
    addEventListener("keydown", ({ key }) => {
      if (key === "Escape" && !byId("chat").hidden) this.#stop();
    });
    byId("stop").addEventListener("click", () => this.#stop());
    byId("forget").addEventListener("click", () => this.#begin([], this.#talk));
    byId("undo-forget").addEventListener("click", () => this.#begin(this.#last, null));
    byId("edit-end").addEventListener("click", () => this.#edit(null, ""));
  }

  /**
   * Show the conversation of an address: its parameters `m` are messages, alternately of the user and of the
   * model. The conversation of this tab is kept if it begins with these messages.
   */
  show(parameters) {
    byId("chat-temperature").value = parameters.get("temperature") ?? 0.5;
    byId("chat-seed").value = parameters.get("seed") ?? ""; // empty: a new one for each reply
    const given = this.#isReloaded ? [] : parameters.getAll("m");
    this.#isReloaded = false;
    const hasBegun = given.every((content, i) => content === this.#talk[i]?.content);
    this.#reset(hasBegun ? this.#talk : conversation(given));
    this.resume();
  }

  /** Show a conversation. Args: the previous one, if any, to which the user can return. */
  #begin(talk, last) {
    tell();
    this.#last = last;
    byId("undo-forget").hidden = !last;
    this.#reset(talk);
    this.resume();
  }

  /** Show the end of the conversation, where a new reply may have arrived. */
  resume() {
    scroll();
    focus();
  }

  /** The parameters of "Look inside" for the last reply, or undefined. */
  get lastReply() {
    const i = this.#talk.findLastIndex(({ role }) => role === "assistant");
    return i > 0 ? this.#inside(i) : undefined;
  }

  #stored() {
    try {
      return JSON.parse(sessionStorage.getItem(this.#place));
    } catch {
      // A page in a frame may have no storage, or the stored text is not JSON.
    }
  }

  #store() {
    try {
      sessionStorage.setItem(this.#place, JSON.stringify(this.#talk));
    } catch {
      // There is no storage, or it is full; the address still contains the messages.
    }
  }

  #send(text) {
    if (!text || this.#running) return;
    byId("undo-forget").hidden = true;
    const before = this.#talk;
    const i = this.#edited ?? before.length;
    this.#edit(null, "");
    this.#talk = [...before.slice(0, i), { role: "user", content: text }];
    this.#reply(i + 1, (signal) => this.#asked(i + 1, number(byId("chat-seed")), signal), () => {
      this.#talk = before; // it can be sent again
      message.value = [text, message.value].filter(Boolean).join("\n");
    });
  }

  /** Replace a reply by one that begins with a text; then, if tokens are given, the model continues them. */
  #branch(item, tokens, text) {
    const i = [...turns.children].indexOf(item);
    this.#note = this.#talk[i].note; // both replies follow the same messages
    this.#reply(i, async function* (signal) {
      yield text;
      if (!tokens) return;
      const body = { prompt: tokens, temperature: number(byId("chat-temperature")) };
      for await (const part of stream("continue", body, signal)) yield part.text;
    });
  }

  /** Yield the parts of a reply to the messages before index i. */
  async *#asked(i, seed, signal) {
    const messages = this.#talk.slice(0, i);
    const body = { messages, temperature: number(byId("chat-temperature")), seed };
    this.#note = "";
    for await (const part of stream("reply", body, signal)) {
      if (part.tokens_dropped !== undefined) tellBelow((this.#note = unread(part)));
      yield part.text;
    }
  }

  /** Write reply i, the last message. Args: `begin` returns its parts, `undo` is called if there are none. */
  async #reply(i, begin, undo = () => {}) {
    const running = this.#setRunning(new AbortController());
    this.#draw(i);
    const reply = { role: "assistant", content: "" };
    const item = this.#append(reply);
    item.ariaBusy = "true";
    scroll();
    let isComplete = false;
    tell();
    try {
      const said = item.querySelector(".said");
      for await (const text of begin(running.signal)) {
        reply.content += text;
        const isFollowed = isAtEnd();
        said.textContent = printable(reply.content);
        if (isFollowed) scroll();
      }
      isComplete = true;
    } catch (error) {
      tell(error);
    }
    if (this.#running !== running) return; // the view shows another conversation by now
    this.#setRunning(null);
    const isSame = isComplete && reply.content === this.#talk[i]?.content;
    if (!isSame && reply.content.trim()) this.#talk = [...this.#talk.slice(0, i), { ...reply, note: this.#note }];
    else if (!isSame) {
      undo();
      if (isComplete) tell(new Error("The reply is empty. Try another seed or temperature."));
    }
    this.#draw();
    if (isSame) tellBelow(`${this.#note} The same reply was drawn again.`);
    focus();
  }

  #stop() {
    this.#running?.abort();
  }

  #setRunning(running) {
    byId("send").hidden = Boolean(running);
    byId("stop").hidden = !running;
    return (this.#running = running);
  }

  /** Show a conversation, without a reply that is still being streamed. */
  #reset(talk) {
    this.#stop();
    this.#setRunning(null);
    const isAsked = talk.length % 2 === 1;
    this.#talk = isAsked ? talk.slice(0, -1) : talk;
    if (isAsked) this.#edit(null, talk.at(-1).content); // without a reply, it can be sent again
    else if (this.#edited !== null) this.#edit(null, "");
    this.#draw();
  }

  /** Let the user edit message i, or write a new message if there is none. */
  #edit(i, text) {
    this.#edited = i;
    message.value = text;
    byId("editing").hidden = i === null;
    if (i !== null) message.focus();
  }

  /** Draw the first n messages. */
  #draw(n = Infinity) {
    const isFollowed = isAtEnd();
    const messages = this.#talk;
    turns.replaceChildren();
    messages.slice(0, n).forEach((each, i) => this.#append(each, i));
    byId("first").hidden = messages.length > 0;
    byId("forget").hidden = !messages.length;
    byId("dropped").textContent = (n < messages.length ? "" : messages.at(-1)?.note) ?? "";
    if (isFollowed) scroll();
    const m = messages.map((each) => each.content);
    write("chat", { m, temperature: byId("chat-temperature").value, seed: byId("chat-seed").value });
    this.#store();
  }

  /** Append a message; if its index is given, the message is complete and gets its buttons. */
  #append({ role, content }, i) {
    const item = element("li", { className: role });
    item.append(said(role === "user" ? "You" : this.#model.speaker || "Assistant", "role"), said(content));
    turns.append(item);
    if (i === undefined) return item;
    item.append(element("div", { className: "tools" }, ...this.#tools(role, content, i)));
    if (role === "assistant" && !this.#model.answers_few) {
      this.#alternatives.offer(item, this.#talk.slice(0, i + 1));
    }
    return item;
  }

  /** Return the parameters of "Look inside" for the reply with an index. */
  #inside(i) {
    const contents = this.#talk.slice(0, i + 1).map((each) => each.content);
    const [question, text] = contents.splice(i - 1);
    return { m: contents, question, text, temperature: byId("chat-temperature").value };
  }

  #tools(role, content, i) {
    if (role === "user") return [button("Edit", () => this.#edit(i, content))];
    const again = button("Regenerate", () => this.#reply(i, (signal) => this.#asked(i, undefined, signal)));
    again.hidden = this.#model.answers_few; // there is one reply to a question
    return [again, element("a", { href: address("inside", this.#inside(i)) }, "Look inside")];
  }
}
