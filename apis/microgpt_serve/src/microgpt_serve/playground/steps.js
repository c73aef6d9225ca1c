// The numbers of one position, from the token to the probabilities, one step at a time.

import { probabilities } from "./bars.js";
import { element, quoted, shown } from "./text.js";

const byId = (id) => document.getElementById(id);
const steps = byId("step");
const numbers = byId("numbers");

// By the name of the numbers in an explanation, without the layer: a title, what happens for a
// beginner, and the name of the step in model.py.
const TEXTS = {
  embedding: [
    "Embedding",
    (c) =>
      `The model cannot read letters, so it looks up a list of ${c.C} numbers for ${c.token}` +
      `${c.learned ? ` and another for position ${c.at}, and adds the two` : ""}. All these lists ` +
      `were learned in training. Similar tokens tend to get similar lists.`,
    "Gpt.embedding",
  ],
  x: [
    "Start of the residual stream",
    () =>
      "The numbers are scaled so that the mean of their squares is 1. This list is the residual " +
      "stream: each later step reads it and adds something to it.",
    "rmsnorm",
  ],
  attention_input: [
    "Input of attention",
    () => "Attention reads a copy of the residual stream, again scaled to a mean square of 1.",
    "rmsnorm(x)",
  ],
  query: [
    "Queries",
    (c) =>
      `A matrix turns the input into ${c.H} queries, one per head: what this position looks for. ` +
      `Each number is a sum of products of the input with a row of learned weights.`,
    "Gpt.query_or_key",
  ],
  key: [
    "Keys",
    () => "Another matrix makes the keys: what this position offers to itself and to later ones.",
    "Gpt.query_or_key",
  ],
  value: [
    "Values",
    () => "A third matrix makes the values: what a position passes on where its key is wanted.",
    "linear(x, attn_wv)",
  ],
  attention: [
    "Attention weights",
    () =>
      "The query is compared with the key of each position so far: the products of their numbers " +
      "are added up. Softmax turns these sums into shares that add up to 1 in each head.",
    "Gpt.attention_weights",
  ],
  heads: [
    "Results of the heads",
    () => "Each head takes the mean of the values of all positions so far, weighted by its shares.",
    "Gpt.attention",
  ],
  attention_output: [
    "Output of attention",
    () => "A matrix mixes the results of the heads.",
    "linear(out, attn_wo)",
  ],
  x_after_attention: [
    "Residual stream after attention",
    () => "The output of attention is added to the residual stream.",
    "add",
  ],
  mlp_input: [
    "Input of the MLP",
    () => "The MLP, too, reads a copy that is scaled to a mean square of 1.",
    "rmsnorm(x)",
  ],
  hidden: [
    "Hidden layer of the MLP",
    (c) =>
      `A matrix makes ${c.hidden} numbers. Each detects a pattern in the input; a negative one means ` +
      `that the pattern is absent, and becomes 0${c.squared ? ", and the others are squared" : ""}.`,
    "Gpt.mlp",
  ],
  mlp_output: [
    "Output of the MLP",
    (c) => `A second matrix turns the patterns that were found into ${c.C} numbers.`,
    "Gpt.mlp",
  ],
  "layer.x": [
    "Residual stream after the layer",
    () => "The output of the MLP is added to the residual stream.",
    "add",
  ],
  final_norm: [
    "Final norm",
    () => "The residual stream is scaled once more to a mean square of 1.",
    "rmsnorm",
  ],
  logits: [
    "Logits",
    (c) =>
      `A last matrix makes a number for each of the ${c.V} tokens of the vocabulary: the larger it ` +
      `is, the better the token fits. The largest are shown.`,
    "Gpt.logits",
  ],
  probabilities: [
    "Probabilities",
    () =>
      "Softmax makes probabilities: e to the power of each logit, divided by the sum of all. The " +
      "next token is drawn with these probabilities, after temperature and top-k.",
    "softmax",
  ],
};

export class Steps {
  #model;
  #changed;
  #wanted = "embedding";
  #activations = null;
  #read = [];
  #at = 0;
  #alternatives = [];

  constructor(model, changed) {
    this.#model = model;
    this.#changed = changed;
    steps.addEventListener("change", () => this.#choose(steps.value));
    byId("back").addEventListener("click", () => this.#go(-1));
    byId("forth").addEventListener("click", () => this.#go(1));
    numbers.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      this.#go(step);
    });
  }

  read(parameters) {
    this.#wanted = parameters.get("step") ?? "embedding";
  }

  get parameters() {
    return { step: this.#wanted === "embedding" ? undefined : this.#wanted };
  }

  /** Show the activations of a position, at the step that is chosen. */
  draw(activations, read, at, alternatives) {
    [this.#read, this.#at, this.#alternatives] = [read, at, alternatives];
    this.#activations = {
      ...activations,
      probabilities: probabilities(activations.logits, 1, activations.logits.length),
    };
    const names = Object.keys(this.#activations);
    if (steps.options.length !== names.length) {
      const option = (name, i) => element("option", { value: name }, `${i + 1}. ${title(name)}`);
      steps.replaceChildren(...names.map(option));
    }
    if (!names.includes(this.#wanted)) this.#wanted = names[0];
    this.#show();
  }

  #go(step) {
    const names = Object.keys(this.#activations ?? {});
    const wanted = names[names.indexOf(this.#wanted) + step];
    if (wanted) this.#choose(wanted);
  }

  #choose(name) {
    this.#wanted = name;
    this.#show();
    this.#changed();
  }

  #show() {
    steps.value = this.#wanted;
    byId("back").disabled = steps.selectedIndex === 0;
    byId("forth").disabled = steps.selectedIndex === steps.options.length - 1;
    const [, explain, code] = TEXTS[kind(this.#wanted)];
    const model = this.#model;
    const context = {
      at: this.#at,
      token: quoted(this.#read[this.#at]),
      C: model.n_embd,
      H: model.n_head,
      V: model.vocab_size,
      hidden: model.n_embd * model.n_ff_exp,
      learned: model.positions === "learned",
      squared: model.activation === "relu2",
    };
    const name = element("code", {}, code);
    byId("what").replaceChildren(explain(context), " In ", element("code", {}, "model.py"), ": ", name);
    numbers.replaceChildren(...this.#cells(this.#activations[this.#wanted]));
    numbers.scrollTop = 0;
  }

  #cells(found) {
    const name = kind(this.#wanted);
    if (name === "attention") {
      return found.flatMap((row, head) => [
        element("h4", {}, `head ${head + 1}`),
        ...cells(row, (i) => shown(this.#read[i])),
      ]);
    }
    if (name === "logits" || name === "probabilities") {
      const likeliest = this.#alternatives;
      return cells(likeliest.map(({ token }) => found[token]), (i) => shown(likeliest[i].text, true));
    }
    if (["query", "key", "value", "heads"].includes(name)) {
      const size = found.length / this.#model.n_head;
      return Array.from({ length: this.#model.n_head }, (_, head) => [
        element("h4", {}, `head ${head + 1}`),
        ...cells(found.slice(head * size, (head + 1) * size)),
      ]).flat();
    }
    return cells(found);
  }
}

/** Return the key of TEXTS for the name of an activation, such as "layer0.query". */
function kind(name) {
  const [, inLayer] = /^layer\d+\.(.*)$/.exec(name) ?? [];
  return inLayer === "x" ? "layer.x" : (inLayer ?? name);
}

function title(name) {
  const [, layer] = /^layer(\d+)\./.exec(name) ?? [];
  const [text] = TEXTS[kind(name)];
  return layer === undefined ? text : `${text}, layer ${Number(layer) + 1}`;
}

/** Return a cell for each number, coloured by sign and size relative to the largest. */
function cells(found, label) {
  const largest = Math.max(...found.map(Math.abs)) || 1;
  return found.map((number, i) => {
    const cell = element("span", { className: number < 0 ? "minus" : "plus" });
    cell.style.setProperty("--share", Math.abs(number) / largest);
    if (label) cell.append(element("small", {}, label(i)));
    cell.append((Math.abs(number) < 0.005 ? 0 : number).toFixed(2));
    return cell;
  });
}
