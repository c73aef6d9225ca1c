// The view "Generate": texts that begin with a prompt.

import { address, write } from "../address.js";
import { number, sendOnEnter } from "../forms.js";
import { ask } from "../client.js";
import { button, byId, element, instead, known, plural, printable, said, tell, unknown } from "../text.js";

const FIELDS = { prompt: "", number: 10, temperature: 0.5, "top-k": "" };
const N_SEEDS = 2 ** 32; // seeds to draw from, short enough to be written down
const N_BEGINNINGS = 4;

export class Generate {
  #model;
  #running = null; // AbortController of the request

  constructor(model) {
    this.#model = model;
    byId("order-settings").open = matchMedia("(min-width: 30rem)").matches; // closed on a phone
    byId("order").addEventListener("submit", () => this.#make());
    byId("order").addEventListener("input", () => tell());
    sendOnEnter(byId("prompt"));
  }

  /** Fill the form from an address and generate, with the seed of the address if it has one. */
  show(parameters) {
    for (const [name, value] of Object.entries(FIELDS)) {
      byId(name).value = parameters.get(name) ?? value;
    }
    byId("seed").value = parameters.get("seed") ?? "";
    this.#make();
    if (byId("seed").validity.valid) byId("seed").value = "";
  }

  /** Generate texts with the seed of the form, or with a new seed. */
  async #make() {
    if (!byId("order").reportValidity()) return;
    this.#running?.abort();
    const running = (this.#running = new AbortController());
    const body = {
      prompt: known(byId("prompt").value, this.#model),
      num_samples: number(byId("number")),
      temperature: number(byId("temperature")),
      top_k: number(byId("top-k")),
      seed: number(byId("seed")) ?? Math.floor(Math.random() * N_SEEDS),
    };
    const fields = Object.keys(FIELDS).map((name) => [name, byId(name).value]);
    write("generate", { ...Object.fromEntries(fields), seed: body.seed });
    byId("seed-used").textContent = body.seed;
    byId("samples").replaceChildren();
    byId("summary").textContent = "Generating …";
    tell();
    try {
      const problem = unknown(body.prompt, this.#model);
      if (problem) throw new Error(problem);
      const found = await ask("generate", body, running.signal);
      this.#draw(found, body.prompt);
    } catch (error) {
      if (running.signal.aborted) return;
      byId("summary").textContent = "";
      tell(error);
    }
  }

  #draw({ samples, tokens_dropped: dropped, n_cut: nCut }, prompt) {
    byId("samples").replaceChildren(...samples.map((text) => this.#item(text, prompt)));
    if (!prompt) this.#offer(samples);
    const size = `the context of ${plural(this.#model.block_size, "token")}`;
    const cut = nCut ? `${nCut} of ${plural(samples.length, "text")} stopped because ${size} was full.` : "";
    const read = dropped
      ? `The prompt does not fit into ${size}: its first
        ${dropped} tokens were not read, to leave room for what follows.`
      : cut;
    byId("summary").textContent = `${instead(byId("prompt").value, this.#model)} ${read}`.trim();
  }

  /** Offer the beginnings of some samples as prompts. */
  #offer(samples) {
    const beginnings = samples.map((text) => text.match(/^\S+ \S+(?= )|^\S{1,3}(?=\S)/u)?.[0]).filter(Boolean);
    const buttons = [...new Set(beginnings)].slice(0, N_BEGINNINGS).map((text) =>
      button(printable(text), () => {
        byId("prompt").value = text;
        this.#make();
      }),
    );
    byId("beginnings").replaceChildren(...buttons);
    byId("begin").hidden = !buttons.length;
  }

  #item(text, prompt) {
    const shown = said(text.slice(prompt.length));
    shown.prepend(element("span", { className: "given" }, printable(prompt)));
    const item = element("li", {}, shown);
    const parameters = { [this.#model.chat ? "question" : "text"]: text };
    const link = element("a", { href: address("inside", parameters) }, "look inside");
    item.append(element("span", { className: "tools" }, link));
    return item;
  }
}
