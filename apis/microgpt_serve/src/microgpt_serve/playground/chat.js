// The view "Chat": a conversation whose replies are streamed.

import { address, write } from "./address.js";
import { number, sendOnEnter } from "./forms.js";
import { stream } from "./service.js";
import { byId, conversation, element, printable, said, unread } from "./text.js";
import { checkModel, tell } from "./trouble.js";

const turns = byId("turns");
const message = byId("message");

/** Focus the message field, unless that would open the keyboard of a telephone. */
const focus = () => matchMedia("(pointer: fine)").matches && message.focus();

const page = document.documentElement;
const SLACK = 40; // pixels that the reader may be above the end of the page, and still follow it

/** Return whether the end of the page is in view. */
const isAtEnd = () => scrollY + innerHeight > page.scrollHeight - SLACK;

/** Scroll to the last message, unless another view is shown. */
const scroll = () => byId("chat").hidden || scrollTo(0, page.scrollHeight);

export class Chat {
  #model;
  #messages = []; // {role, content}
  #running = null; // AbortController of the reply that is being streamed

  constructor(model) {
    this.#model = model;
    byId("say").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send(message.value.trim()); // as on the command line
    });
    sendOnEnter(message);
    addEventListener("keydown", ({ key }) => {
      if (key === "Escape" && !byId("chat").hidden) this.#stop();
    });
    byId("stop").addEventListener("click", () => this.#stop());
    byId("forget").addEventListener("click", () => this.#truncate(0));
  }

  /**
   * Show the conversation of an address: its messages m, of the user and the model in turns. If the
   * conversation that is shown begins with them, the address is an older one: it stays.
   */
  show(parameters) {
    byId("chat-temperature").value = parameters.get("temperature") ?? 0.5;
    byId("chat-seed").value = parameters.get("seed") ?? 42; // "random" leaves the field empty
    const given = conversation(parameters.getAll("m"));
    if (given.some(({ content }, i) => content !== this.#messages[i]?.content)) {
      if (given.length % 2) message.value = given.pop().content; // without a reply: to send it again
      this.#reset(given);
    }
    this.#write();
    this.resume();
  }

  /** Show the end of the conversation, where a reply may have come meanwhile. */
  resume() {
    scroll();
    focus();
  }

  /** The parameters of "Look inside" for the last reply, or undefined. */
  get lastReply() {
    const i = this.#messages.findLastIndex(({ role }) => role === "assistant");
    return i > 0 ? this.#inside(i) : undefined;
  }

  #settings() {
    return { temperature: number(byId("chat-temperature")), seed: number(byId("chat-seed")) };
  }

  async #send(text) {
    if (!text || this.#running) return;
    message.value = "";
    this.#messages.push({ role: "user", content: text });
    this.#draw();
    const reply = { role: "assistant", content: "" };
    const item = this.#append(reply);
    item.ariaBusy = "true";
    scroll();
    const running = (this.#running = new AbortController());
    this.#setRunning(true);
    let isComplete = false;
    tell();
    checkModel(this.#model);
    try {
      const body = { messages: this.#messages, ...this.#settings() };
      const said = item.querySelector(".said");
      for await (const event of stream("v1/chat/completions", body, running.signal)) {
        if (event.tokens_dropped !== undefined) byId("dropped").textContent = unread(event);
        reply.content += event.choices[0]?.delta.content ?? "";
        const isFollowed = isAtEnd();
        said.textContent = printable(reply.content);
        if (isFollowed) scroll();
      }
      isComplete = true;
    } catch (error) {
      tell(error);
    }
    if (this.#running !== running) return; // the view shows another conversation by now
    this.#running = null;
    this.#setRunning(false);
    if (reply.content.trim()) this.#messages.push(reply);
    else {
      const { content } = this.#messages.pop(); // to send it again, before what was typed since
      message.value = [content, message.value].filter(Boolean).join("\n");
      if (isComplete) tell(new Error("The reply is empty. Try another seed or temperature."));
    }
    this.#draw();
    focus();
  }

  #stop() {
    this.#running?.abort();
  }

  #setRunning(isRunning) {
    byId("send").hidden = isRunning;
    byId("stop").hidden = !isRunning;
  }

  /** Keep the first n messages. */
  #truncate(n) {
    tell();
    this.#reset(this.#messages.slice(0, n));
    this.resume();
  }

  /** Show other messages. A reply that is being streamed is none of them. */
  #reset(messages) {
    this.#stop();
    this.#running = null;
    this.#setRunning(false);
    this.#messages = messages;
    byId("dropped").textContent = "";
    this.#draw();
  }

  #draw() {
    const isFollowed = isAtEnd();
    turns.replaceChildren();
    this.#messages.forEach((each, i) => this.#append(each, i));
    if (isFollowed) scroll();
    this.#write();
  }

  #write() {
    const m = this.#messages.map((each) => each.content);
    write("chat", { m, ...this.#settings(), seed: byId("chat-seed").value || "random" });
  }

  /** Append a message; with its index, it is complete and has tools. */
  #append({ role, content }, i) {
    const item = element("li", { className: role });
    item.append(element("span", { className: "role" }, role), said(content));
    if (i !== undefined) {
      item.append(element("div", { className: "tools" }, ...this.#tools(role, content, i)));
    }
    turns.append(item);
    return item;
  }

  /** Return the parameters of "Look inside" for the reply with an index. */
  #inside(i) {
    const contents = this.#messages.slice(0, i + 1).map((each) => each.content);
    const [question, text] = contents.splice(i - 1);
    return { m: contents, question, text };
  }

  #tools(role, content, i) {
    const copy = element("button", { type: "button" }, "Copy");
    copy.hidden = !navigator.clipboard; // which a browser has only over https or on this machine
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(content);
        copy.textContent = "Copied";
      } catch {
        tell(new Error("The browser does not let this page copy. Select the text and copy it yourself."));
      }
    });
    if (role === "assistant") {
      return [copy, element("a", { href: address("inside", this.#inside(i)) }, "Look inside")];
    }
    const edit = element("button", { type: "button" }, "Edit and resend");
    edit.addEventListener("click", () => {
      this.#truncate(i);
      message.value = content;
    });
    return [copy, edit];
  }
}
