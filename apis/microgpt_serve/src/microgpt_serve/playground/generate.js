// The view "Generate": texts that begin with a prompt.

import { address, write } from "./address.js";
import { number, sendOnEnter } from "./forms.js";
import { post } from "./service.js";
import { byId, element, printable, said, unknown } from "./text.js";
import { checkModel, tell } from "./trouble.js";

const FIELDS = { prompt: "", number: 10, temperature: 0.5, "top-k": "", seed: 42 };

export class Generate {
  #model;
  #running = null; // AbortController of the request

  constructor(model) {
    this.#model = model;
    byId("order").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#make();
    });
    byId("order").addEventListener("input", () => tell());
    sendOnEnter(byId("prompt"));
  }

  /** Fill the form from an address; if the address has a setting, generate. */
  show(parameters) {
    for (const [name, value] of Object.entries(FIELDS)) {
      byId(name).value = parameters.get(name) ?? value;
    }
    if (parameters.size) byId("order").requestSubmit();
    else byId("prompt").focus();
  }

  async #make() {
    this.#running?.abort();
    const running = (this.#running = new AbortController());
    const body = {
      prompt: byId("prompt").value,
      num_samples: number(byId("number")),
      temperature: number(byId("temperature")),
      top_k: number(byId("top-k")),
      seed: number(byId("seed")),
      known: true,
    };
    const fields = Object.keys(FIELDS).map((name) => [name, byId(name).value]);
    write("generate", Object.fromEntries(fields));
    byId("samples").replaceChildren();
    byId("summary").textContent = "Generating …";
    tell();
    checkModel(this.#model);
    try {
      const problem = unknown(body.prompt, this.#model);
      if (problem) throw new Error(problem);
      const found = await post("microgpt/v1/generate", body, running.signal);
      this.#draw(found, body.prompt);
    } catch (error) {
      if (running.signal.aborted) return;
      byId("summary").textContent = "";
      tell(error);
    }
  }

  #draw({ samples, known, tokens_dropped: dropped }, prompt) {
    byId("samples").replaceChildren(
      ...samples.map((text, i) => this.#item(text, prompt, known?.[i])),
    );
    const notes = [];
    if (known) {
      const n = known.filter(Boolean).length;
      const others = n < samples.length ? "; the others are new" : "";
      notes.push(`${n} of ${samples.length} ${n === 1 ? "is" : "are"} in the training data${others}.`);
    }
    if (dropped) {
      notes.push(`The prompt does not fit into the context of ${this.#model.block_size} tokens: its first
        ${dropped} tokens were not read, to leave room for what follows.`);
    }
    if (this.#model.chat) notes.push("A chat model generates messages of the user, which it has not learned to write.");
    byId("summary").textContent = notes.join(" ");
  }

  #item(text, prompt, isKnown) {
    const shown = said(text.slice(prompt.length));
    shown.prepend(element("span", { className: "given" }, printable(prompt)));
    const item = element("li", {}, shown);
    if (isKnown) item.append(element("span", { className: "mark" }, "in the training data"));
    const parameters = { [this.#model.chat ? "question" : "text"]: text };
    const link = element("a", { href: address("inside", parameters) }, "look inside");
    item.append(element("span", { className: "tools" }, link));
    return item;
  }
}
