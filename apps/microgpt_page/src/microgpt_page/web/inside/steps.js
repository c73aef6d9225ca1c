// The numbers of one position, from the token to the probabilities, one step at a time.

import { Backward, brief } from "./backward.js";
import { probabilities } from "./bars.js";
import { Diagram } from "./diagram.js";
import { Parts, active, attended } from "./parts.js";
import { IN_MLP, matrixOf, partsOf } from "./switches.js";
import { byId, element, percent, quoted, shown } from "../text.js";

const numbers = byId("numbers");
const N_WORKED = 3; // tokens whose scores are shown

// Steps that other architectures than Karpathy's override, in model_variants.py.
const VARIED = ["Gpt.embedding", "Gpt.query_or_key", "Gpt.mlp", "Gpt.logits"];

// By the name of the numbers in an explanation, without the layer: a title, what happens, for a
// beginner, and the name of the step in model.py.
const TEXTS = {
  embedding: [
    "Embedding",
    (c) =>
      `The model computes with numbers, so it looks up a list of ${c.C} numbers for ${c.token}` +
      `${c.isKarpathys ? ` and another for position ${c.at}, and adds the two` : ""}. These lists are ` +
      `weights: training has adjusted them, like the numbers of all matrices below.` +
      `${c.isShifted ? ` The numbers of the token before are added, too, in another order${c.none}.` : ""}`,
    "Gpt.embedding",
  ],
  x: [
    "Residual stream",
    () =>
      "The numbers are scaled so that the mean of their squares is 1. This list is called the " +
      "residual stream: each later step reads it and adds something to it.",
    "rmsnorm",
  ],
  attention_input: [
    "Input of attention",
    (c) =>
      "Attention reads a copy of the residual stream, scaled to a mean square of 1." +
      (c.layer ? "" : " In layer 0 this changes nothing, since it has just been scaled."),
    "rmsnorm(x)",
  ],
  query: [
    "Queries",
    (c) =>
      `Attention fetches from earlier tokens what this one cannot know by itself. A query, one for each ` +
      `of the ${c.H} heads, is compared with keys to find the tokens to look ` +
      `at. Each of its numbers is a sum: each number of the input times a weight. The table of these ` +
      `weights is a matrix.` +
      (c.isKarpathys
        ? ""
        : " Queries and keys are then scaled, so that all are equally long, and rotated by an angle " +
          "that grows with the position: so the model knows the order."),
    "Gpt.query_or_key",
  ],
  key: [
    "Keys",
    () =>
      "Another matrix makes the keys, with which this position can be found by its own queries and " +
      "those of later positions.",
    "Gpt.query_or_key",
  ],
  value: [
    "Values",
    () => "A third matrix makes the values: what is taken from this position by those that look at it.",
    "linear(x, attn_wv)",
  ],
  attention: [
    "Head",
    () =>
      "How: the query is compared with the key of each position so far: their numbers are multiplied in " +
      "pairs, added up and divided by the square root of how many they are. Softmax turns the " +
      "results into shares: e to the power of each, divided by the total, so that the shares of a " +
      "head add up to 1. They are the row of its map above. The result of the head is the mean of the " +
      "values of all positions so far, weighted by these shares.",
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
    (c) =>
      `The MLP (multi-layer perceptron) looks at this position alone, and adds what follows from the ` +
      `patterns that it finds there, such as that u comes after q. It reads a copy of the residual stream, scaled to a mean square ` +
      `of 1${c.isShifted ? `; the first half of it comes from the position before${c.none}` : ""}.`,
    "rmsnorm(x)",
  ],
  hidden: [
    "Hidden layer of the MLP",
    (c) =>
      `A matrix makes ${c.hidden} numbers, each of which responds to a pattern in the input. ` +
      `Negative ones become 0: that pattern is absent.${c.isKarpathys ? "" : " The others are squared."}`,
    "Gpt.mlp",
  ],
  mlp_output: [
    "Output of the MLP",
    (c) => `A second matrix makes ${c.C} numbers from the patterns that were found.`,
    "Gpt.mlp",
  ],
  "layer.x": [
    "Residual stream after the layer",
    () => "The output of the MLP is added to the residual stream.",
    "add",
  ],
  logits_input: [
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
      "Softmax turns the logits into probabilities. Temperature and top-k change them: the logits are " +
      "divided by the temperature before softmax. The next token is drawn with these probabilities, and everything " +
      "begins again with a text that is longer by one token. The largest are shown, at temperature 1.",
    "softmax",
  ],
};

export class Steps {
  #model;
  #on;
  #diagram;
  #backward;
  #parts;
  chosen = "embedding"; // the name of a step
  #names = new Map(); // of tokens
  #numbers = null; // of each step: activations, or pushes
  #found = null; // the explanation with the activations
  #read = [];
  #at = 0;
  #now = null; // the prediction
  #isOff;

  /** Args: functions that are called after another step, direction or weight; and for a step. */
  constructor(model, { chosen, changed, stepped }) {
    this.#model = model;
    this.#on = { chosen, changed };
    this.#diagram = new Diagram(model, (name) => this.#choose(name));
    const turned = (isOn) => {
      if (isOn) this.chosen = "probabilities"; // where learning begins
      changed();
    };
    this.#backward = new Backward({ turned, changed, stepped });
    this.#parts = new Parts((name) => {
      this.forward();
      this.#choose(name);
      this.#diagram.scrollTo(name);
    });
  }

  read(parameters) {
    const step = parameters.get("step") ?? "embedding";
    this.chosen = step.replace(/attention$/, "attention 0"); // as it was in older addresses
    this.#backward.read(parameters);
  }

  get parameters() {
    const step = this.chosen === "embedding" ? undefined : this.chosen;
    return { step, backward: this.#backward.isOn ? 1 : undefined };
  }

  /** The fields of a request for the numbers. */
  get request() {
    return this.#backward.request(matrixOf(this.chosen));
  }

  /** Show what the model predicts, if how it learns cannot be shown. */
  forward() {
    if (this.#backward.isOn) this.#backward.turn(false);
  }

  get isBackward() {
    return this.#backward.isOn;
  }

  /**
   * Show the numbers of a position, at the step that is chosen. Args: the explanation with them, the
   * prediction there, `isOff` as in `Diagram.draw`, and whether the model has other changes than steps.
   */
  draw(found, read, at, now, isOff, isEdited) {
    [this.#found, this.#read, this.#at, this.#now, this.#isOff] = [found, read, at, now, isOff];
    this.#parts.clear();
    const { activations, backward } = found;
    const shares = probabilities(activations.logits, 1, activations.logits.length);
    const isBackward = this.#backward.isOn && Boolean(backward.weight);
    this.#numbers = isBackward
      ? this.#backward.pushes(found, shares, at, now.token)
      : { ...activations, probabilities: shares };
    if (isBackward) this.#backward.drawStep(backward, isEdited);
    if (!this.#chosenNumbers) this.chosen = "embedding"; // the model has no such step
    this.#diagram.draw(this.#numbers, read[at], this.chosen, isOff);
    this.#show();
  }

  /** Show what the parts are for. */
  drawParts(ablations) {
    this.#parts.draw(ablations, this.#isOff);
    this.#show();
  }

  #choose(name) {
    this.chosen = name;
    this.#diagram.choose(name);
    if (this.#backward.isOn && matrixOf(name)) this.#on.changed();
    this.#show();
    this.#on.chosen(partsOf(name).layer);
  }

  #show() {
    const { layer, kind, head } = partsOf(this.chosen);
    const [title, explain, code] = TEXTS[layer !== null && kind === "x" ? "layer.x" : kind];
    byId("step-title").textContent =
      title + (head === null ? "" : ` ${head}`) + (layer === null ? "" : `, layer ${layer}`);
    const model = this.#model;
    const isKarpathys = model.architecture === "karpathy";
    const isVaried = !isKarpathys && VARIED.includes(code);
    const context = {
      at: this.#at,
      layer,
      token: quoted(this.#read[this.#at]),
      C: model.n_embd,
      H: model.n_head,
      V: model.vocab_size,
      hidden: model.n_embd * model.n_ff_exp,
      isKarpathys,
      isShifted: model.architecture === "modern",
      none: this.#at ? "" : " (here there is none)",
    };
    const isShared = head !== null && !this.#isBackward;
    const scores = isShared ? worked(this.#found.activations, this.#read, layer, head) : "";
    const text = explain(context) + scores;
    const plain = this.#plain();
    byId("plain").textContent = plain || text;
    byId("what").textContent = plain ? text : "";
    byId("file").textContent = isVaried ? "model_variants.py" : "model.py";
    byId("code").textContent = isVaried ? code.replace("Gpt", "GptVariant") : code;
    numbers.replaceChildren(...this.#cells(this.#chosenNumbers));
    const { weight } = this.#found.backward;
    byId("why").hidden = !this.#isBackward || weight?.matrix !== matrixOf(this.chosen);
    if (byId("why").hidden) return;
    const nameOf = (matrix, i) => this.#nameOf(matrix, i);
    this.#backward.drawWeight(this.#found, this.#read, this.#at, this.#now, nameOf);
  }

  /** Learn the names of tokens from an explanation. */
  learnNames({ predictions }) {
    for (const each of predictions.flatMap((one) => [one, ...one.alternatives])) {
      this.#names.set(each.token, each.text);
    }
  }

  /** Return what row i of a matrix belongs to. */
  #nameOf(matrix, i) {
    if (matrix === "wpe") return `position ${i}`;
    const name = this.#names.get(i) ?? [...this.#model.characters][i];
    const token = name ? quoted(name, matrix === "lm_head") : `token ${i}`;
    return { wte: token, lm_head: `the logit of ${token}` }[matrix] ?? `number ${i} of the output`;
  }

  /** The matrix, row and column of the weight that the reader may change, if the form is open. */
  get weight() {
    return this.#backward.isOn ? null : this.#backward.named;
  }

  /** Show the value of this weight. */
  drawValue([matrix, i], value) {
    byId("weight-now").textContent = `The weight, of ${this.#nameOf(matrix, i)}, is ${brief(value)} now.`;
  }

  /** The numbers of the chosen step; of attention, those of the head. */
  get #chosenNumbers() {
    const { layer, head } = partsOf(this.chosen);
    return head === null ? this.#numbers[this.chosen] : this.#numbers[`layer${layer}.attention`]?.[head];
  }

  get #isBackward() {
    return this.#backward.isOn && Boolean(this.#found.backward.weight);
  }

  /** Return what the chosen step does at this position, in plain words, if there is more to say. */
  #plain() {
    const { layer, kind, head } = partsOf(this.chosen);
    if (this.#isBackward) return this.#backward.sentence(kind, this.#found.backward, this.#at, this.#now);
    const { activations } = this.#found;
    const isMlp = IN_MLP.includes(kind);
    if (!isMlp && head === null) return "";
    if (this.#isOff(this.chosen)) return "It is switched off: its output is zero, so nothing is added.";
    const hasCome = this.#at < this.#read.length - 1;
    const first = isMlp
      ? active(activations[`layer${layer}.hidden`])
      : attended(activations[`layer${layer}.attention`][head], this.#read, this.#at, head);
    return `${first} ${this.#parts.effect(layer, head, hasCome, this.#model.chat ? "reply" : "text")}`;
  }

  #cells(found) {
    const { kind } = partsOf(this.chosen);
    const write = this.#isBackward ? brief : undefined;
    if (kind === "attention") return cells(found, (i) => shown(this.#read[i]), write ?? percent);
    if (kind === "logits" || kind === "probabilities") {
      const others = this.#now.alternatives.filter(({ token }) => token !== this.#now.token);
      const likeliest = this.#isBackward ? [this.#now, ...others] : this.#now.alternatives;
      const largest = likeliest.map(({ token }) => found[token]);
      const asShare = kind === "probabilities" ? percentOf : write;
      return cells(largest, (i) => shown(likeliest[i].text, true), asShare);
    }
    if (["query", "key", "value", "heads"].includes(kind)) {
      const size = found.length / this.#model.n_head;
      return Array.from({ length: this.#model.n_head }, (_, head) => [
        element("h4", {}, `head ${head}`),
        ...cells(found.slice(head * size, (head + 1) * size), undefined, write),
      ]).flat();
    }
    return cells(found, undefined, write);
  }
}

/** Return how the shares of a head follow from numbers. */
function worked(activations, read, layer, head) {
  const of = (name) => activations[`layer${layer}.${name}`];
  const shares = of("attention")[head];
  const size = of("query").length / of("attention").length;
  const [query, key] = [of("query"), of("key")].map((all) => all.slice(head * size, (head + 1) * size));
  const own = query.reduce((sum, each, i) => sum + each * key[i], 0);
  const at = shares.length - 1;
  if (!shares[at]) return "";
  const products = query.slice(0, 3).map((each, i) => `(${twoDecimals(each)}) × (${twoDecimals(key[i])})`);
  const most = [...shares.keys()].sort((a, b) => shares[b] - shares[a]).slice(0, N_WORKED);
  const told = most.map((j) => {
    // Softmax turns differences of scores into ratios of shares.
    const score = own / Math.sqrt(size) + Math.log(shares[j] / shares[at]);
    return `${quoted(read[j])} at ${j}: score ${twoDecimals(score)} → ${percent(shares[j])}`;
  });
  return (
    ` Here, this token compares with itself: ${products.join(" + ")}${size > 3 ? " + …" : ""} = ` +
    `${twoDecimals(own)}, divided by √${size}: a score of ${twoDecimals(own / Math.sqrt(size))}. The highest ` +
    `scores: ${told.join("; ")}.`
  );
}

/** Return a share, which may be missing or too much, as a percentage. */
const percentOf = (share) => {
  if (share >= 0) return percent(share);
  return share > -0.0005 ? "> −0.1 %" : `−${percent(-share)}`;
};

/** Return a cell for each number, coloured by sign and size relative to the largest. */
function cells(found, label, write = twoDecimals) {
  const largest = Math.max(...found.map(Math.abs)) || 1;
  return found.map((number, i) => {
    const cell = element("span", { className: number < 0 ? "minus" : "plus" });
    cell.style.setProperty("--share", Math.abs(number) / largest);
    if (label) cell.append(element("small", {}, label(i)));
    cell.append(write(number));
    return cell;
  });
}

const twoDecimals = (number) => (Math.abs(number) < 0.005 ? 0 : number).toFixed(2).replace("-", "−");
