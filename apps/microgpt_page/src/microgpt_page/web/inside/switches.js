// Switch parts of the model off, and make training steps, in the view "Look inside".

import { button, byId, conversation, element } from "../text.js";

const FIELDS = ["without-head", "without-mlp", "learn"]; // address parameters
// The matrix of each step that multiplies with one.
const MATRICES = {
  embedding: "wte", query: "attn_wq", key: "attn_wk", value: "attn_wv", attention_output: "attn_wo",
  hidden: "mlp_fc1", mlp_output: "mlp_fc2", logits: "lm_head",
}; // prettier-ignore
const MATRIX_TITLES = {
  wte: "table of tokens", wpe: "table of positions", lm_head: "output matrix",
  attn_wq: "query matrix", attn_wk: "key matrix", attn_wv: "value matrix", attn_wo: "output matrix of attention",
  mlp_fc1: "first matrix of the MLP", mlp_fc2: "second matrix of the MLP",
}; // prettier-ignore
const IN_ATTENTION = ["attention_input", "query", "key", "value", "heads", "attention_output"];
export const IN_MLP = ["mlp_input", "hidden", "mlp_output"];

/** Return the layer, kind and head of a step such as "layer0.attention 2"; null for a missing one. */
export function partsOf(step) {
  const [, layer, kind, head] = /^(?:layer(\d+)\.)?(attention(?= \d)|\w+$)(?: (\d+))?$/.exec(step) ?? [];
  const number = (digits) => (digits === undefined ? null : Number(digits));
  return { layer: number(layer), kind, head: number(head) };
}

/** Return the name of the matrix of a step such as "layer0.query", if it has one. */
export function matrixOf(step) {
  const { layer, kind } = partsOf(step);
  return MATRICES[kind] && (layer === null ? "" : `layer${layer}.`) + MATRICES[kind];
}

/** Return the name of a head, or of an MLP, in words; both are counted from 0 here. */
export function titleOfPart({ n_layer: L }, layer, head) {
  const title = { null: "the MLP", all: "all heads" }[head] ?? `head ${head + 1}`;
  return L === 1 ? title : `${title} of layer ${layer + 1}`;
}

/** Return the name of a matrix in words. */
export const titleOfMatrix = (name) => MATRIX_TITLES[name.replace(/.*\./, "")];

export class Switches {
  #model;
  #changed;
  #edits = new Map(FIELDS.map((name) => [name, []])); // arguments of `microgpt explain`

  /** Args: a model, and a function that is called after each change. */
  constructor(model, changed) {
    this.#model = model;
    this.#changed = () => {
      this.#drawChanges();
      changed();
    };
    byId("switch-all-on").addEventListener("click", () => {
      for (const name of FIELDS) this.#edits.set(name, []);
      this.#changed();
    });
  }

  read(parameters) {
    for (const name of FIELDS) this.#edits.set(name, parameters.getAll(name));
    this.#drawChanges();
  }

  get parameters() {
    return Object.fromEntries(this.#edits);
  }

  /** Whether the model is changed. */
  get isOn() {
    return [...this.#edits.values()].some((each) => each.length);
  }

  /** The fields of a request to explain. */
  get body() {
    if (!this.isOn) return {};
    const [heads, mlps, learn] = FIELDS.map((name) => this.#edits.get(name));
    return {
      without_heads: heads.map((head) => head.split(".").map(Number)),
      without_mlps: mlps.map(Number),
      learn: learn.map((text) => this.#document(text)),
    };
  }

  /** Whether any part is off; training steps do not count. */
  get isEdited() {
    return FIELDS.slice(0, -1).some((name) => this.#edits.get(name).length);
  }

  /** Make a training step on a text, or on the contents of messages. A last null means an unfinished text. */
  learn(text, contents, { unfinished }) {
    const more = unfinished ? [null] : [];
    const all = this.#model.chat ? [...contents, ...more] : [text, ...more];
    this.#edits.get("learn").push(this.#model.chat || unfinished ? JSON.stringify(all) : text);
    this.#changed();
  }

  #document(value) {
    const all = this.#contents(value);
    const ending = all.at(-1) === null ? { unfinished: all.pop() === null } : {};
    return { ...(this.#model.chat ? { messages: conversation(all) } : { text: all[0] }), ...ending };
  }

  /** Return the contents of messages from an address; a text that is not JSON is one message. */
  #contents(text) {
    try {
      if (!this.#model.chat && !text.endsWith(",null]")) return [text];
      return [JSON.parse(text)].flat().map((each) => each && `${each}`);
    } catch {
      return [text];
    }
  }

  /** Return the field and the values of a head, of "all" heads or, if it is null, of the MLP of a layer. */
  #valuesOf(layer, head) {
    if (head === null) return ["without-mlp", [String(layer)]];
    const heads = head === "all" ? [...Array(this.#model.n_head).keys()] : [head];
    return ["without-head", heads.map((each) => `${layer}.${each}`)];
  }

  /** Return whether a part is off. Args: as of `#valuesOf`. */
  isWithout(layer, head) {
    const [name, values] = this.#valuesOf(layer, head);
    return values.every((each) => this.#edits.get(name).includes(each));
  }

  /** Switch a part off, or on again. Args: as of `#valuesOf`. */
  toggle(layer, head) {
    const [name, values] = this.#valuesOf(layer, head);
    const others = this.#edits.get(name).filter((each) => !values.includes(each));
    this.#edits.set(name, this.isWithout(layer, head) ? others : [...others, ...values]);
    this.#changed();
  }

  /** Return whether a node of the diagram is off, or a number of the results of the heads. */
  isOff(key, number = -1) {
    const { n_head: H, n_embd: C } = this.#model;
    const { layer, kind, head } = partsOf(key);
    if (IN_MLP.includes(kind)) return this.isWithout(layer, null);
    return ["attention", "heads"].includes(kind) && this.isWithout(layer, head ?? Math.floor((number * H) / C));
  }

  /** Show the switches of a step, such as "layer0.query". */
  draw(step) {
    const { layer, kind, head: own } = partsOf(step);
    const made = [];
    if (own !== null || IN_ATTENTION.includes(kind)) {
      const heads = own === null ? Array(this.#model.n_head).keys() : [own];
      for (const head of heads) made.push(this.#switch(`head ${head + 1}`, layer, head));
    } else if (IN_MLP.includes(kind)) {
      made.push(this.#switch("the whole MLP", layer, null));
    }
    byId("switches").hidden = !made.length;
    byId("switches").replaceChildren(element("legend", {}, "Switched on:"), ...made);
  }

  #switch(title, layer, head) {
    const input = element("input", { type: "checkbox", checked: !this.isWithout(layer, head) });
    input.addEventListener("change", () => this.toggle(layer, head));
    return element("label", {}, input, ` ${title}`);
  }

  #drawChanges() {
    const titles = {
      "without-head": (value) => `without ${titleOfPart(this.#model, ...value.split(".").map(Number))}`,
      "without-mlp": (value) => `without ${titleOfPart(this.#model, Number(value), null)}`,
      learn: (value, n) => `after ${n > 1 ? `${n} steps` : "a step"} on “${this.#contents(value).slice(-2).join(" … ").slice(0, 60)}”`,
    };
    const chips = FIELDS.flatMap((name) =>
      [...new Set(this.#edits.get(name))].map((value) => {
        const all = this.#edits.get(name);
        const text = titles[name](value, all.filter((each) => each === value).length);
        return button(`${text} ✕`, () => {
          this.#edits.set(name, all.filter((each) => each !== value));
          this.#changed();
        }, `Undo: ${text}`);
      }),
    );
    byId("changes").replaceChildren(...chips);
    byId("changed").hidden = !chips.length;
  }
}
