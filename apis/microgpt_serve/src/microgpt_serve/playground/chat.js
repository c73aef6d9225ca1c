// The view "Chat": a conversation whose replies are streamed.

import { address, number, write } from "./address.js";
import { conversation, stream } from "./service.js";
import { byId, element, printable, said, unread } from "./text.js";
import { tell } from "./trouble.js";

const turns = byId("turns");
const message = byId("message");

/** Focus the message field, unless that would open the keyboard of a telephone. */
const focus = () => matchMedia("(pointer: fine)").matches && message.focus();

/** Scroll to the last message, unless another view is shown. */
const scroll = () => byId("chat").hidden || scrollTo(0, document.body.scrollHeight);

export class Chat {
  #messages = []; // {role, content}
  #running = null; // AbortController of the reply that is being streamed

  constructor() {
    byId("say").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send(message.value);
    });
    message.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.#send(message.value);
      }
    });
    byId("chat").addEventListener("keydown", (event) => event.key === "Escape" && this.#stop());
    byId("stop").addEventListener("click", () => this.#stop());
    byId("forget").addEventListener("click", () => this.#truncate(0));
  }

  /** Show the conversation of an address: its messages m, of the user and the model in turns. */
  show(parameters) {
    this.#stop();
    this.#messages = conversation(parameters.getAll("m"));
    byId("chat-temperature").value = parameters.get("temperature") ?? 0.5;
    byId("chat-seed").value = parameters.get("seed") ?? 42;
    byId("dropped").textContent = "";
    this.#draw();
    focus();
  }

  /** Show the conversation as it was left. A reply may have come meanwhile. */
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
    if (!text.trim() || this.#running) return;
    message.value = "";
    this.#messages.push({ role: "user", content: text });
    this.#draw();
    const reply = { role: "assistant", content: "" };
    const item = this.#append(reply);
    item.ariaBusy = "true";
    const running = (this.#running = new AbortController());
    this.#setRunning(true);
    let isComplete = false;
    tell();
    try {
      const body = { messages: this.#messages, ...this.#settings() };
      const said = item.querySelector(".said");
      for await (const event of stream("v1/chat/completions", body, running.signal)) {
        if (event.tokens_dropped !== undefined) byId("dropped").textContent = unread(event);
        reply.content += event.choices[0]?.delta.content ?? "";
        said.textContent = printable(reply.content);
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
      message.value ||= this.#messages.pop().content; // to send it again
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
    this.#stop();
    this.#running = null;
    this.#setRunning(false);
    this.#messages.length = n;
    byId("dropped").textContent = "";
    tell();
    this.#draw();
    focus();
  }

  #draw() {
    turns.replaceChildren();
    this.#messages.forEach((each, i) => this.#append(each, i));
    write("chat", { m: this.#messages.map((each) => each.content), ...this.#settings() });
  }

  /** Append a message; with its index, it is complete and has tools. */
  #append({ role, content }, i) {
    const item = element("li", { className: role });
    item.append(element("span", { className: "role" }, role), said(content));
    if (i !== undefined) {
      item.append(element("div", { className: "tools" }, ...this.#tools(role, content, i)));
    }
    turns.append(item);
    scroll();
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
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(content);
      copy.textContent = "Copied";
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
