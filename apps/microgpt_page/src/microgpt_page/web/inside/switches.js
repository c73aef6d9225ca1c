// Parts of the model that are switched off, and weights that are changed, while one looks inside.

import { button, byId, conversation, element } from "../text.js";

const FIELDS = ["without-head", "without-mlp", "without-position", "weight", "learn"]; // in the address
const WEIGHT = /^([\w.]+)\[(\d+),(\d+)\](\*?)=(\S+)$/;
// The matrix of each step that multiplies with one.
const MATRICES = {
  embedding: "wte", query: "attn_wq", key: "attn_wk", value: "attn_wv", attention_output: "attn_wo",
  hidden: "mlp_fc1", mlp_output: "mlp_fc2", logits: "lm_head",
}; // prettier-ignore
const IN_ATTENTION = ["attention_input", "query", "key", "value", "heads", "attention_output"];
export const IN_MLP = ["mlp_input", "hidden", "mlp_output"];

/** Return the layer, kind and head of a step such as "layer0.attention 2"; null for what it lacks. */
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

export class Switches {
  #model;
  #changed;
  #edits = new Map(FIELDS.map((name) => [name, []])); // as `microgpt explain` takes them

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
    byId("edit-weight").addEventListener("submit", () => {
      const [row, column, value] = ["row", "column", "value"].map((name) => byId(`weight-${name}`).value);
      const how = byId("weight-how").value;
      this.#edits.get("weight").push(`${byId("edit-weight").dataset.matrix}[${row},${column}]${how}${value}`);
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

  /** Whether anything is changed. */
  get isOn() {
    return [...this.#edits.values()].some((each) => each.length);
  }

  /** The fields of a request to explain. */
  get body() {
    if (!this.isOn) return {};
    const [heads, mlps, positions, weights, learn] = FIELDS.map((name) => this.#edits.get(name));
    return {
      without_heads: heads.map((head) => head.split(".").map(Number)),
      without_mlps: mlps.map(Number),
      without_positions: positions.map(Number),
      weights: weights.map((text) => {
        const [, matrix, row, column, times, number] = WEIGHT.exec(text) ?? [, text, 0, 0, "", 0];
        const value = { [times ? "factor" : "value"]: Number(number) };
        return { matrix, row: Number(row), column: Number(column), ...value };
      }),
      learn: learn.map((text) => this.#document(text)),
    };
  }

  /** Whether parts are off or weights are changed, after all steps. */
  get isEdited() {
    return FIELDS.slice(0, -1).some((name) => this.#edits.get(name).length);
  }

  /** Make a training step on a text, or on the contents of messages. In the address, null goes on. */
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

  /** Return the contents of messages from an address; only a wrong one has no JSON. */
  #contents(text) {
    try {
      if (!this.#model.chat && !text.endsWith(",null]")) return [text];
      return [JSON.parse(text)].flat().map((each) => each && `${each}`);
    } catch {
      return [text];
    }
  }

  /** Return whether a node of the diagram is off. */
  isOff(key) {
    const { layer, kind, head } = partsOf(key);
    if (kind === "attention") return this.#edits.get("without-head").includes(`${layer}.${head}`);
    return IN_MLP.includes(kind) && this.#edits.get("without-mlp").includes(String(layer));
  }

  /** Show the switches of a step, such as "layer0.query", at a position. */
  draw(step, position) {
    const { layer, kind, head: own } = partsOf(step);
    const made = [];
    if (own !== null || IN_ATTENTION.includes(kind)) {
      const heads = own === null ? Array(this.#model.n_head).keys() : [own];
      for (const head of heads) made.push(this.#switch(`head ${head + 1}`, "without-head", `${layer}.${head}`));
    } else if (IN_MLP.includes(kind)) {
      made.push(this.#switch("the MLP", "without-mlp", String(layer)));
    } else if (kind === "embedding" && this.#model.architecture === "karpathy") {
      made.push(this.#switch(`position ${position}`, "without-position", String(position)));
    }
    byId("switches").hidden = !made.length;
    byId("switches").replaceChildren(element("legend", {}, "Switched on:"), ...made);
    this.#drawForm(kind, matrixOf(step));
  }

  #switch(title, name, value) {
    const input = element("input", { type: "checkbox", checked: !this.#edits.get(name).includes(value) });
    input.addEventListener("change", () => {
      const others = this.#edits.get(name).filter((each) => each !== value);
      this.#edits.set(name, input.checked ? others : [...others, value]);
      this.#changed();
    });
    return element("label", {}, input, ` ${title}`);
  }

  /** Show the form that changes a weight of the matrix of a step, if it has one. */
  #drawForm(kind, matrix) {
    const form = byId("edit-weight");
    form.hidden = !matrix;
    form.dataset.matrix = matrix;
    byId("weight-matrix").textContent = matrix;
    const { n_embd: C, n_ff_exp: factor, vocab_size: V } = this.#model;
    const hidden = factor * C;
    const rows = { embedding: V, logits: V, hidden }[kind] ?? C;
    byId("weight-row").max = rows - 1;
    byId("weight-column").max = (kind === "mlp_output" ? hidden : C) - 1;
  }

  #drawChanges() {
    const titles = {
      "without-head": (value) => `without ${value.split(".").map((each) => Number(each) + 1).reverse().map((each, i) => `${["head", "layer"][i]} ${each}`).join(" of ")}`,
      "without-mlp": (value) => `without the MLP of layer ${Number(value) + 1}`,
      "without-position": (value) => `without the embedding of position ${value}`,
      weight: (value) => value,
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
