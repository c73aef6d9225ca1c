// The view "Chat": a conversation whose replies are streamed.

import { address, number, write } from "./address.js";
import { tell } from "./main.js";
import { stream } from "./service.js";
import { byId, element, printable, said } from "./text.js";

const turns = byId("turns");
const message = byId("message");

/** Focus the message field, unless that would open the keyboard of a telephone. */
const focus = () => matchMedia("(pointer: fine)").matches && message.focus();

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
    const role = (i) => (i % 2 ? "assistant" : "user");
    this.#messages = parameters.getAll("m").map((content, i) => ({ role: role(i), content }));
    byId("chat-temperature").value = parameters.get("temperature") ?? 0.5;
    byId("chat-seed").value = parameters.get("seed") ?? 42;
    byId("dropped").textContent = "";
    this.#draw();
    focus();
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
        this.#tellDropped(event);
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

  #tellDropped({ tokens_dropped: dropped, unknown_characters: unknown }) {
    const notes = [];
    if (dropped) {
      notes.push(`The conversation is longer than the context: the model has not read its first
        ${dropped} tokens.`);
    }
    if (unknown) notes.push(`The model does not know these characters: ${printable(unknown)}`);
    if (dropped !== undefined) byId("dropped").textContent = notes.join(" ");
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
    scrollTo(0, document.body.scrollHeight);
    return item;
  }

  #tools(role, content, i) {
    const copy = element("button", { type: "button" }, "Copy");
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(content);
      copy.textContent = "Copied";
    });
    if (role === "assistant") {
      const parameters = { question: this.#messages[i - 1].content, text: content };
      return [copy, element("a", { href: address("inside", parameters) }, "Look inside")];
    }
    const edit = element("button", { type: "button" }, "Edit and resend");
    edit.addEventListener("click", () => {
      this.#truncate(i);
      message.value = content;
    });
    return [copy, edit];
  }
}
