// Draw the path of a token through the model: the residual stream, and the additions by attention and MLP.
//
// Each node is a button with its numbers as cells, read from top to bottom: blue is positive, orange
// negative. The lists of the heads have a row for each head. The value of a node is the name of its
// step; that of a head ends with the number of the head, as in "layer0.attention 2".

import { bySign, paintPixels } from "../colours.js";
import { button, byId, element } from "../text.js";
import { partsOf } from "./switches.js";

const diagram = byId("diagram");
const [HEIGHT, WIDTH] = [168, 48]; // pixels of a list of numbers, at most
const [MOST_ROWS, CELL] = [32, 11]; // rows of a list, and pixels of a cell, at most
const BY_HEAD = ["query", "key", "value", "heads"];
const TITLES = {
  embedding: "Embed", x: "Stream", attention_input: "Norm", query: "Query", key: "Key",
  value: "Value", heads: "Result", attention_output: "Output", x_after_attention: "Stream\n+ att.",
  mlp_input: "Norm", hidden: "Units", mlp_output: "Output", logits_input: "Norm",
  "layer.x": "Stream\n+ MLP", logits: "Logits", probabilities: "Softmax",
}; // prettier-ignore

export class Flow {
  #model;
  #on;
  #nodes = new Map(); // buttons by their values
  #numbers = {};
  #isOff = () => false;
  #wanted = null; // the step whose button gets the focus as soon as it exists
  maps = element("div", { className: "maps", id: "maps" });

  /** Args: functions that are called with a step and the index of a number that is chosen or pointed at. */
  constructor(model, on) {
    this.#model = model;
    this.#on = on;
    diagram.addEventListener("keydown", (event) => this.#move(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#paintAll());
    this.show(0);
  }

  /** Show a layer. */
  show(layer) {
    const { n_layer: L, architecture } = this.#model;
    this.#nodes.clear();
    const of = (name) => this.#node(`layer${layer}.${name}`);
    const attention = branch(
      "Attention: looks back",
      of("attention_input"),
      element("div", { className: "parallel" }, ...["query", "key", "value"].map(of)),
      this.maps,
      of("heads"),
      of("attention_output"),
    );
    const mlp = branch("MLP: this token alone", ...["mlp_input", "hidden", "mlp_output"].map(of));
    const others = layer < L - 1 ? [element("small", {}, `… layer ${L}`)] : [];
    const norm = architecture === "karpathy" ? [] : [this.#node("logits_input")];
    diagram.replaceChildren(
      this.#node("embedding"),
      this.#node(layer ? `layer${layer - 1}.x` : "x"),
      attention,
      of("x_after_attention"),
      mlp,
      of("x"),
      ...others,
      ...norm,
      this.#node("logits"),
      this.#node("probabilities"),
    );
  }

  /** Return a button for a head, below its map. */
  head(layer, head) {
    const made = this.#button(`layer${layer}.attention ${head}`, `head ${head + 1}`);
    made.addEventListener("click", () => this.#on.chosen(made.value, null));
    if (document.activeElement?.value === made.value) this.#wanted = made.value;
    return made;
  }

  /** Draw the numbers of each step, and select one. `isOff` returns whether a part is off. */
  draw(numbers, step, number, isOff) {
    [this.#numbers, this.#isOff] = [numbers, isOff];
    this.#paintAll();
    this.choose(step, number);
  }

  choose(step, number) {
    for (const [key, made] of this.#nodes) {
      made.ariaPressed = String(key === step);
      made.tabIndex = key === step ? 0 : -1; // the arrow keys go from one button to the next
      made.classList.toggle("off", this.#isOff(key));
    }
    this.mark(step, number);
    if (this.#wanted) this.focus(this.#wanted);
  }

  /** Draw a frame around a number of a step. */
  mark(step, number) {
    diagram.querySelector(".at")?.classList.remove("at");
    const made = this.#nodes.get(step);
    const mark = made?.querySelector("i");
    if (!mark || number === null) return;
    const { rows, width, height, isByHead, columns } = this.#shape(step);
    const [x, y] = isByHead
      ? [number % columns, Math.floor(number / columns)]
      : [Math.floor(number / rows), number % rows];
    mark.style.transform = `translate(${x * width}px, ${y * height}px)`;
    Object.assign(mark.style, { width: `${width}px`, height: `${height}px` });
    made.classList.add("at");
  }

  /** Move the focus to a step as soon as it exists. */
  focus(step) {
    this.#wanted = step;
    if (!this.#nodes.get(step)?.isConnected) return;
    this.#nodes.get(step).focus();
    this.#wanted = null;
  }

  /** Return the steps that are shown, in the order in which they are read. */
  get steps() {
    return [...diagram.querySelectorAll("button")].map(({ value }) => value);
  }

  #button(step, title) {
    const made = button(element("span", {}, title), null);
    this.#nodes.set(step, made);
    return Object.assign(made, { className: "node", value: step, tabIndex: -1 });
  }

  #node(step) {
    const { layer, kind } = partsOf(step);
    const made = this.#button(step, TITLES[layer !== null && kind === "x" ? "layer.x" : kind]);
    const canvas = element("canvas");
    made.append(element("span", { className: "cells" }, canvas, element("i")));
    const at = ({ offsetX: x, offsetY: y, target }) => {
      if (target !== canvas) return null;
      const { rows, width, height, columns, isByHead, n } = this.#shape(step);
      const [column, row] = [x / width, y / height].map((each) => Math.max(0, Math.floor(each)));
      return Math.min(n - 1, isByHead ? row * columns + column : column * rows + row);
    };
    made.addEventListener("click", (event) => this.#on.chosen(step, at(event)));
    canvas.addEventListener("pointermove", (event) => this.#on.pointed(step, at(event)));
    canvas.addEventListener("pointerleave", () => this.#on.pointed(null));
    return made;
  }

  /** Return how many rows and columns of cells a step has, and the width and height of one in pixels. */
  #shape(step) {
    const { kind } = partsOf(step);
    const n = this.#numbers[step]?.length ?? 1;
    const isByHead = BY_HEAD.includes(kind);
    const most = Math.min(n, ["logits", "probabilities"].includes(kind) ? MOST_ROWS : this.#model.n_embd, MOST_ROWS);
    const rows = isByHead ? this.#model.n_head : most;
    const columns = Math.ceil(n / rows);
    const fitting = (room, count) => Math.max(1, Math.min(CELL, Math.floor(room / count)));
    const height = fitting(isByHead ? HEIGHT / 4 : HEIGHT, rows);
    return { n, rows, columns, isByHead, height, width: Math.min(fitting(WIDTH, columns), isByHead ? CELL : height) };
  }

  #paintAll() {
    for (const [step, made] of this.#nodes) {
      const numbers = this.#numbers[step];
      const canvas = made.querySelector("canvas");
      if (!numbers || !canvas) continue;
      const { rows, columns, width, height, isByHead } = this.#shape(step);
      const index = (row, column) => (isByHead ? row * columns + column : column * rows + row);
      const lines = Array.from({ length: rows }, (_, row) =>
        Array.from({ length: columns }, (_, column) => numbers[index(row, column)] ?? 0),
      );
      paintPixels(canvas, lines, bySign(numbers));
      Object.assign(canvas.style, { width: `${columns * width}px`, height: `${rows * height}px` });
    }
  }

  #move(event) {
    const { key, target } = event;
    const way = { ArrowRight: 1, ArrowLeft: -1 }[key];
    const by = { ArrowDown: 1, ArrowUp: -1 }[key];
    if (!target.matches("button") || !(way || by)) return;
    event.preventDefault();
    const { steps } = this;
    const next = way ? steps[steps.indexOf(target.value) + way] : target.value;
    if (next) this.#on.chosen(next, null, by);
    if (next) this.focus(next);
  }
}

/** Return the element of a branch, which reads the residual stream and adds its result to it. */
const branch = (title, ...children) =>
  element(
    "div",
    { className: "branch", role: "group", ariaLabel: title },
    element("h4", {}, title),
    element("div", { className: "parts" }, ...children),
    element("b", { className: "plus-sign", title: "The output is added to the stream, which passes above" }, "+"),
  );
