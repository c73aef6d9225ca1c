// A diagram of the model at one position: the residual stream, and what each part adds to it.
//
// Each node is a button with a strip of its numbers: blue is positive, orange negative. Its value is
// the name of its step; that of a head ends with the number of the head, as in "layer0.attention 2".

import { bySign, paintPixels } from "../colours.js";
import { button, byId, element, quoted } from "../text.js";

const diagram = byId("diagram");
const MOST_NUMBERS = 64; // in a strip; of more, evenly spread ones are drawn
const KEYS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

export class Diagram {
  #nodes = new Map(); // buttons by their values
  #chosen;
  #strips = new Map(); // by node: numbers

  /** Args: a model, and a function that is called with the name of a step that is chosen. */
  constructor(model, chosen) {
    this.#chosen = chosen;
    const first = [this.#node("embedding", "Embedding"), this.#node("x", "Residual stream")];
    const layers = Array.from({ length: model.n_layer }, (_, layer) => this.#layer(model, layer));
    const norm = model.architecture === "karpathy" ? [] : [this.#node("logits_input", "Final norm")];
    const last = [this.#node("logits", "Logits"), this.#node("probabilities", "Probabilities")];
    diagram.replaceChildren(stage("", ...first), ...layers, stage("", ...norm, ...last));
    diagram.addEventListener("keydown", (event) => this.#move(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#paintAll());
  }

  /** Draw the numbers of a position, and choose a step. `isOff` says which parts are off. */
  draw(activations, token, name, isOff) {
    this.#strips.clear();
    for (const [step, found] of Object.entries(activations)) {
      if (!Array.isArray(found[0])) this.#strips.set(step, found);
      else found.forEach((row, head) => this.#strips.set(`${step} ${head}`, row));
    }
    this.#nodes.get("embedding").firstChild.textContent = `Embedding of ${quoted(token)}`;
    for (const [key, button] of this.#nodes) button.classList.toggle("off", isOff(key));
    this.#paintAll();
    this.choose(name);
  }

  choose(name) {
    const nodes = [...diagram.querySelectorAll("button")];
    for (const button of nodes) {
      button.ariaPressed = String(button.value === name);
      button.tabIndex = -1; // the arrow keys go from one to the next
    }
    nodes.find((button) => button.value === name).tabIndex = 0;
  }

  scrollTo(name) {
    const node = this.#nodes.get(name);
    node.focus({ preventScroll: true });
    node.scrollIntoView({ block: "center" });
  }

  #layer(model, layer) {
    const node = (name, title) => this.#node(`layer${layer}.${name}`, title);
    const heads = Array.from({ length: model.n_head }, (_, head) =>
      node(`attention ${head}`, `Head ${head}`),
    );
    return stage(
      `Layer ${layer}`,
      branch(
        "Attention",
        node("attention_input", "Input"),
        group(node("query", "Queries"), node("key", "Keys"), node("value", "Values")),
        group(...heads),
        node("heads", "Results of the heads"),
        node("attention_output", "Output"),
      ),
      node("x_after_attention", "Residual stream"),
      branch(
        "MLP",
        node("mlp_input", "Input"),
        node("hidden", "Hidden layer"),
        node("mlp_output", "Output"),
      ),
      node("x", "Residual stream"),
    );
  }

  #node(name, title) {
    const made = button(element("span", {}, title), () => this.#chosen(name));
    made.append(element("canvas"));
    this.#nodes.set(name, made);
    return Object.assign(made, { className: "node", value: name, tabIndex: -1 });
  }

  #move(event) {
    const step = KEYS[event.key];
    if (!step) return;
    event.preventDefault();
    const nodes = [...diagram.querySelectorAll("button")]; // in the order in which they are read
    const next = nodes[nodes.indexOf(event.target) + step];
    if (!next) return;
    this.#chosen(next.value);
    next.focus();
  }

  #paintAll() {
    for (const [key, button] of this.#nodes) {
      const numbers = this.#strips.get(key);
      if (numbers) paint(button.querySelector("canvas"), numbers);
    }
  }
}

/** Return a part of the diagram along the residual stream. */
const stage = (title, ...children) => {
  const heading = title ? [element("h4", {}, title)] : [];
  const look = { className: "stage", role: "group", ariaLabel: title || null };
  return element("div", look, ...heading, ...children);
};

/** Return what reads the residual stream, and adds its result to it. */
const branch = (title, ...children) => {
  const look = { className: "branch", role: "group", ariaLabel: title };
  const plus = element("span", { className: "plus-sign" }, "+");
  return element("div", look, element("h5", {}, title), ...children, plus);
};

const group = (...children) => element("div", { className: "parallel" }, ...children);

/** Paint numbers as a strip: a pixel each, which the style stretches. */
function paint(canvas, numbers) {
  const n = Math.min(numbers.length, MOST_NUMBERS);
  const shown = Array.from({ length: n }, (_, i) => numbers[Math.floor((i * numbers.length) / n)]);
  paintPixels(canvas, [shown], bySign(shown));
}
