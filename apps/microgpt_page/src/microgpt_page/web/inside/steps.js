// Show one step of a token through the model: its purpose, and the calculation of each number.

import { arithmetic } from "./arithmetic.js";
import { Backward, brief } from "./backward.js";
import { probabilities } from "./bars.js";
import { bySign, colours, paintPixels, rgb } from "../colours.js";
import { Flow } from "./flow.js";
import { Parts, active, attended } from "./parts.js";
import { IN_MLP, matrixOf, partsOf, titleOfMatrix } from "./switches.js";
import { sentenceOn } from "./units.js";
import { byId, element, percent, quoted, sign } from "../text.js";

const N_WRITTEN = 3; // the largest products, which are written out
const N_NUMBERED = 8; // numbers of a list that have their index above them
const MOST_ROWS = 128; // rows of a matrix that are drawn, at most

// The title and the idea of each step, by the name of its numbers in an explanation without the layer.
const TEXTS = {
  embedding: [
    "Embedding",
    (c) =>
      `The model computes with numbers, so it looks up ${c.C} numbers for ${c.token} in the table of tokens (wte)` +
      `${c.isKarpathys ? ` and ${c.C} for position ${c.at} (the start has 0) in the table of positions (wpe), and adds them` : ""}. ` +
      `Training has found them.` +
      `${c.isShifted ? ` Those of the token before are added, too, in another order${c.none}.` : ""}`,
  ],
  x: [
    "Residual stream",
    () => "The list that goes through the whole model, and to which each part adds. A norm scales its mean square to 1.",
  ],
  attention_input: [
    "Input of attention",
    (c) =>
      "A copy of the stream, scaled again to a mean square of 1." +
      `${c.layer ? "" : " Here this changes almost nothing, as the stream has just been scaled."}`,
  ],
  query: [
    "Query",
    (c) =>
      `What this token looks for, a row for each of the ${c.H} heads. Times the key of a token so far, the sum is large ` +
      "if both lists have the same signs in the same places: the key fits." +
      (c.isKarpathys ? "" : " It is scaled, and rotated by an angle that grows with the position."),
  ],
  key: ["Key", () => "What this token offers to the queries: its own, and those of later tokens."],
  value: ["Value", () => "What this token hands over to those that look at it."],
  attention: [
    "Head",
    (c) =>
      `The score of a token is this query times its key, divided by √${c.D}. Softmax turns the scores into attention ` +
      "weights, which add up to 100 %. Later tokens have none (the causal mask): the model has to guess them.",
  ],
  heads: ["Result of the heads", () => "Each head takes the mean of the tokens’ values by its attention weights."],
  attention_output: ["Output of attention", () => "A matrix mixes the results of the heads to one list."],
  x_after_attention: ["Residual stream after attention", () => "The stream, plus the output of attention."],
  mlp_input: [
    "Input of the MLP",
    (c) =>
      "The MLP (multi-layer perceptron) reads a scaled copy of the stream of this token alone" +
      `${c.isShifted ? `; the first half of it comes from the position before${c.none}` : ""}.`,
  ],
  hidden: [
    "Hidden units of the MLP",
    (c) =>
      `Each of ${c.hidden} units responds to a pattern, such as certain letters in a row. A negative one becomes 0: the ` +
      `pattern is absent.${c.isKarpathys ? "" : " The others are squared."} So a unit can wait for two tokens together. ` +
      "Without the MLP, attention still chooses how much of each token arrives, but each raises the same next tokens as " +
      "always, only more or less.",
  ],
  mlp_output: ["Output of the MLP", () => "Each active unit adds a list of its own, its column of the matrix."],
  "layer.x": ["Residual stream after the MLP", () => "The stream, plus the output of the MLP."],
  logits_input: ["Final norm", () => "The stream, scaled once more to a mean square of 1."],
  logits: ["Logits", (c) => `A score for each of the ${c.V} tokens that may come next.`],
  probabilities: [
    "Probabilities",
    () =>
      "Each logit is divided by the temperature. Softmax makes probabilities of them: e to the power of each, divided by " +
      "the total. The next token is drawn by them, and everything begins again with the longer text.",
  ],
};

export class Steps {
  #model;
  #on;
  #backward;
  #parts;
  #names = new Map(); // names of tokens, by id
  #numbers = null; // numbers of each step: activations or gradients
  #found = null; // the explanation with the activations
  #read = [];
  #at = 0;
  #now = null; // the prediction
  #isOff;
  chosen = "embedding";
  #number = null; // the index of the number that is chosen, or null for the one to begin with

  /**
   * Args: functions that are called when the step, the direction or the weight changes, to make a training step,
   * and to switch a part; `matrix` and `units` return promises of a matrix and of statistics of hidden units;
   * `sampling` returns the temperature and top-k.
   */
  constructor(model, on) {
    this.#model = model;
    this.#on = on;
    this.flow = new Flow(model, {
      chosen: (step, number, by) => this.#choose(step, by ? this.number + by : number),
      pointed: (step, number) => this.point(step, number),
    });
    const turned = (isOn) => {
      if (isOn) this.chosen = "probabilities"; // where learning begins
      on.changed();
    };
    this.#backward = new Backward(model, { turned, changed: on.changed, stepped: on.stepped });
    this.#parts = new Parts(model, on.toggled);
    byId("step-before").addEventListener("click", () => this.go(-1));
    byId("step-after").addEventListener("click", () => this.go(1));
  }

  read(parameters) {
    this.chosen = parameters.get("step") ?? "embedding";
    this.#number = parameters.has("number") ? Math.trunc(parameters.get("number")) || 0 : null;
    this.#backward.read(parameters);
  }

  get parameters() {
    const step = this.chosen === "embedding" ? undefined : this.chosen;
    return { step, number: this.#number ?? undefined, backward: this.#backward.isOn ? 1 : undefined };
  }

  /** The fields of a request for the numbers of a layer. */
  get request() {
    return { earlier: this.layer, ...this.#backward.request(matrixOf(this.chosen)) };
  }

  /** The layer that is shown. */
  get layer() {
    return Math.min(partsOf(this.chosen).layer ?? this.#layer, this.#model.n_layer - 1);
  }

  #layer = 0;

  /** Show the forward direction: what the model predicts. */
  forward() {
    if (this.#backward.isOn) this.#backward.turn(false);
  }

  get isBackward() {
    return this.#backward.isOn;
  }

  /** Show another layer, counted from 0. */
  turnTo(layer) {
    if (layer === this.layer && layer === this.#layer) return;
    this.#layer = layer;
    if (partsOf(this.chosen).layer !== null) this.chosen = this.chosen.replace(/^layer\d+/, `layer${layer}`);
    this.flow.show(layer);
  }

  /** The steps in the order of the direction. */
  get #order() {
    const steps = Object.keys(this.#numbers);
    return this.isBackward ? steps.reverse() : steps;
  }

  /** Go to the next or the previous step of this token; after the last step, draw the next token. */
  go(by) {
    const next = this.#order[this.#order.indexOf(this.chosen) + by];
    if (next) this.#choose(next, null);
    else if (by > 0) {
      [this.chosen, this.#number] = ["embedding", null];
      this.#on.ended();
    }
  }

  /**
   * Show the numbers of a position, at the step that is chosen. Args: the explanation with them, the
   * prediction there if a token came, `isOff` as in `Flow.draw`, and whether the model has other changes
   * than steps.
   */
  draw(found, read, at, now, isOff, isEdited) {
    [this.#found, this.#read, this.#at, this.#now, this.#isOff] = [found, read, at, now, isOff];
    this.#parts.clear();
    const { activations, backward } = found;
    const isBackward = this.#isBackward;
    const softmax = probabilities(activations.logits, isBackward ? { temperature: 1 } : this.#on.sampling());
    const all = isBackward
      ? this.#backward.gradients(found, softmax, at, now.token)
      : { ...activations, probabilities: softmax };
    const used = (step, list) => (step.endsWith("heads") ? list.map((x, i) => (isOff(step, i) ? 0 : x)) : list);
    this.#numbers = Object.fromEntries(
      Object.entries(all).flatMap(([step, list]) =>
        Array.isArray(list[0]) ? list.map((row, head) => [`${step} ${head}`, row]) : [[step, used(step, list)]],
      ),
    );
    if (isBackward) this.#backward.drawStep(backward, isEdited);
    if (!this.#numbers[this.chosen]) this.chosen = "embedding"; // the model has no such step
    this.flow.draw(this.#numbers, this.chosen, this.number, isOff);
    this.#show();
  }

  /** Show the probabilities at another temperature or top-k. */
  sample() {
    if (!this.#numbers || this.isBackward) return;
    const { logits } = this.#found.activations;
    this.#numbers.probabilities = probabilities(logits, this.#on.sampling());
    this.flow.draw(this.#numbers, this.chosen, this.number, this.#isOff);
    this.#show();
  }

  /** Show the purpose of the parts. Args: as in `Parts`. */
  drawParts(...all) {
    this.#parts.draw(...all);
    this.#show();
  }

  /** Show the step of a number that is pointed at; without a step, the one that is chosen. */
  point(step, number) {
    if (!this.#numbers || (step && !this.#numbers[step]) || this.#isBackward) return;
    this.#show(step ?? this.chosen, step ? number : this.number);
  }

  /** Choose a number of a step, which is shown with the next position. */
  open(step, number) {
    [this.chosen, this.#number] = [step, number];
  }

  #choose(name, number) {
    this.chosen = name;
    this.#number = number === null ? null : Math.max(0, Math.min(this.#numbers[name].length - 1, number));
    this.flow.choose(name, this.number);
    const isWeighed = this.#backward.isOn && matrixOf(name);
    this.#on.chosen(this.layer);
    if (isWeighed) this.#on.changed();
    this.#show();
  }

  /** The index of the number that is shown: at first the most interesting, such as the largest. */
  get number() {
    const all = this.#numbers?.[this.chosen] ?? [0];
    const isOfTokens = /logits$|probabilities/.test(this.chosen);
    const isLargest = isOfTokens || /attention \d|hidden/.test(this.chosen);
    const came = isOfTokens && this.#backward.isOn ? this.#now?.token : null; // backward, the actual token matters
    return Math.min(all.length - 1, this.#number ?? came ?? (isLargest ? all.indexOf(Math.max(...all)) : 0));
  }

  #titleOf(step) {
    const { layer, kind, head } = partsOf(step);
    const [title] = TEXTS[layer !== null && kind === "x" ? "layer.x" : kind];
    const where = layer === null || this.#model.n_layer === 1 ? "" : `, layer ${layer + 1}`;
    return title + (head === null ? "" : ` ${head + 1}`) + where;
  }

  #show(step = this.chosen, number = this.number) {
    const { layer, kind } = partsOf(step);
    const [, explain] = TEXTS[layer !== null && kind === "x" ? "layer.x" : kind];
    const model = this.#model;
    const isKarpathys = model.architecture === "karpathy";
    const context = {
      at: this.#at,
      layer,
      token: quoted(this.#read[this.#at]),
      C: model.n_embd,
      D: model.n_embd / model.n_head,
      H: model.n_head,
      V: model.vocab_size,
      hidden: model.n_embd * model.n_ff_exp,
      isKarpathys,
      isShifted: model.architecture === "modern",
      none: this.#at ? "" : " (here there is none)",
    };
    const steps = this.#order;
    const isLast = this.chosen === steps.at(-1);
    byId("step-title").textContent = this.#titleOf(step);
    byId("step-count").textContent = `${steps.indexOf(step) + 1} of ${steps.length}`;
    byId("step-before").disabled = this.chosen === steps[0];
    byId("step-after").disabled = this.isBackward && isLast;
    byId("step-after").textContent = this.isBackward ? "Next step back ›" : isLast ? byId("draw").textContent : "Next step ›";
    byId("what").textContent = this.#isBackward ? "" : explain(context);
    byId("plain").textContent = this.#plain(step);
    const shown = partsOf(this.chosen);
    byId("heads").hidden = this.#isBackward || shown.kind !== "heads";
    if (!byId("heads").hidden) {
      const attention = this.#found.activations[`layer${shown.layer}.attention`];
      this.#parts.drawHeads(shown.layer, attention, this.#read, this.#now !== null);
    }
    const { weight } = this.#found.backward;
    byId("why").hidden = !this.#isBackward || weight?.matrix !== matrixOf(this.chosen);
    byId("number-line").hidden = !byId("why").hidden;
    this.#tell(step, number);
    if (byId("why").hidden) return;
    this.#backward.drawWeight(this.#found, this.#read, this.#at, this.#now, (...all) => this.#nameOf(...all));
  }

  /** Show how a number follows from those before it. */
  async #tell(step, number) {
    this.flow.mark(step, number);
    const all = this.#numbers[step];
    const place = partsOf(step);
    const value = all[number];
    const what = place.kind === "attention" ? `weight of ${quoted(this.#read[number])}` : this.#labelOf(step, number);
    const write = place.kind === "attention" || place.kind === "probabilities" ? percent : brief;
    const kind = place.kind === "probabilities" ? "difference" : "gradient";
    byId("number-name").textContent = `${this.#titleOf(step)}, ${what}: `;
    byId("number-value").textContent = this.#isBackward ? `${kind} ${brief(value)}` : write(value);
    byId("arithmetic").hidden = this.#isBackward;
    byId("unit").textContent = "";
    if (this.#isBackward) return;
    const name = matrixOf(step);
    const matrix = name ? await this.#on.matrix(name) : null;
    if (all !== this.#numbers[step] || (name && !matrix)) return; // another text is shown by now
    const row = step === "embedding" ? this.#tokens()[this.#at] : number;
    const about = { model: this.#model, read: this.#read, at: this.#at, sampling: this.#on.sampling() };
    const weights = matrix && rowOf(matrix, row);
    const made = arithmetic(step, number, this.#found, weights, about);
    if (this.#isOff(step, number)) made.then = () => "this is switched off, so nothing of it is added";
    drawArithmetic(made, value, name && { name, row, ...matrix });
    if (place.kind !== "hidden" || this.#isOff(step)) return;
    const units = await this.#on.units(place.layer);
    if (units && all === this.#numbers[step]) byId("unit").textContent = sentenceOn(units[number]) + this.#partsOfUnit(number);
  }

  /** Return the ids of the tokens that are read. */
  #tokens() {
    return [this.#model.vocab_size - 1, ...this.#found.predictions.map(({ token }) => token)];
  }

  /** Return the meaning of a number of a step. */
  #labelOf(step, number) {
    const isOfTokens = step === "logits" || step === "probabilities";
    const noun = step.endsWith("hidden") ? "unit" : "number";
    return isOfTokens ? this.#nameOf("wte", number, true) : `${noun} ${number + 1}`;
  }

  /** Remember the names of the tokens in an explanation. */
  learnNames({ predictions }) {
    for (const each of predictions.flatMap((one) => [one, ...one.alternatives])) {
      this.#names.set(each.token, each.text);
    }
  }

  /** Return the meaning of row i of a matrix. */
  #nameOf(matrix, i, isEnd = matrix === "lm_head") {
    if (matrix === "wpe") return `position ${i}`;
    const name = this.#names.get(i) ?? [...this.#model.characters][i];
    const token = name ? quoted(name, isEnd) : `token ${i}`;
    return { wte: token, lm_head: `the logit of ${token}` }[matrix] ?? `number ${i + 1} of the output`;
  }

  get #isBackward() {
    return this.#backward.isOn && Boolean(this.#found.backward.weight);
  }

  /** Return a sentence on the effect of the chosen step at this position, if there is one. */
  #plain(step) {
    const { layer, kind, head } = partsOf(step);
    if (this.#isBackward) return this.#backward.sentence(kind, this.#found.backward, this.#at, this.#now);
    const { activations } = this.#found;
    const isMlp = IN_MLP.includes(kind);
    const shares = activations[`layer${layer}.attention`];
    if (!isMlp && head === null) return "";
    if (this.#isOff(step)) return "It is switched off: its output is zero, so nothing is added.";
    const units = activations[`layer${layer}.hidden`];
    const first = isMlp ? `${this.#scores()}${active(units)}` : attended(shares[head], this.#read, this.#at, head);
    const habit = this.#parts.habit(layer, head);
    const guess = this.#parts.guess(layer, head, this.#now !== null);
    return `${first}${habit && ` On average: ${habit}.`}${guess && ` Switched off: ${guess}.`}`;
  }

  /** Return a sentence on the terms of the sum that a hidden unit computes. */
  #partsOfUnit(unit) {
    const [own, fetched] = this.#found.together?.sums.map((each) => told(each[unit])) ?? [];
    return own ? ` Its sum here: ${own} from this token and its position, and ${fetched} from what attention fetched.` : "";
  }

  /** Return sentences on the score of the token that came, or else of the likeliest, if it is a sum. */
  #scores() {
    const { together, activations } = this.#found;
    if (!together) return "";
    const { logits } = activations;
    const token = this.#now?.token ?? logits.indexOf(Math.max(...logits));
    const [own, fetched, mlp, alone] = ["own", "attention", "mlp", "mlpAlone"].map((each) => +together[each][token].toFixed(2));
    return (
      `The score of ${this.#nameOf("wte", token, true)} is a sum: ${told(own)} from this token and its position, ` +
      `${told(fetched)} from what attention fetched, ${told(mlp)} from the MLP. Of the MLP’s, ${told(alone)} would come ` +
      `for this token alone; the other ${told(mlp - alone)} only for it together with what was fetched. `
    );
  }
}

const told = (score) => score.toFixed(2).replace("-", "−");

/** Draw the lists whose products are added up, and write the further calculation with the sum. */
function drawArithmetic({ lists = [], names = [], noun = "number", labels, terms = [], then }, value, of) {
  const products = lists.length ? lists[0].map((x, i) => x * lists[1][i]) : terms.map(([, x]) => x);
  const sum = products.reduce((total, x) => total + x, 0);
  const strips = lists.length > 0 && products.length > 1 ? [...lists, products] : [];
  const rows = strips.map((list, i) => {
    const canvas = element("canvas");
    paintPixels(canvas, [list], bySign(list));
    return element("tr", {}, element("th", { scope: "row" }, [names[0], `× ${names[1]}`, "= products"][i]), element("td", {}, canvas));
  });
  const number = (i) => ((i + 1) % Math.ceil(products.length / N_NUMBERED) ? "" : i + 1);
  const heads = products.map((_, i) => element("span", {}, labels ? sign(labels[i]) : number(i)));
  const titles = strips.length ? [element("tr", {}, element("th"), element("td", {}, ...heads))] : [];
  byId("terms").replaceChildren(...titles, ...rows);
  byId("matrix").hidden = !of;
  if (of) drawMatrix(of);
  const order = [...products.keys()].sort((a, b) => Math.abs(products[b]) - Math.abs(products[a]));
  const largest = order.slice(0, N_WRITTEN);
  const place = (i) => (labels ? `${quoted(labels[i])} at ${i}` : `${noun} ${i + 1}`);
  const written = lists.length
    ? largest.map((i) => lists.map((list) => inBrackets(list[i])).join(" × ") + (strips.length ? ` (${place(i)})` : ""))
    : terms.map(([name, x]) => `${brief(x)} (${name})`);
  const result = products.length > 1 || lists.length ? ` = ${brief(sum)}` : "";
  const more = products.length > N_WRITTEN && lists.length ? " + …" : "";
  const isSame = Math.abs(sum - value) <= 1e-3 * Math.max(1, Math.abs(value));
  const after = then?.(sum, value) || (isSame ? "" : `the architecture of this model makes ${brief(value)} of it`);
  byId("sum").textContent = `${written.join(" + ")}${more}${result}${after && `; ${after}`}.`;
}

const inBrackets = (number) => (number < 0 ? `(${brief(number)})` : brief(number));

const rowOf = ({ numbers, columns }, row) => Array.from(numbers.subarray(row * columns, (row + 1) * columns));

/** Draw a matrix, or some rows of it, with a frame around one. */
function drawMatrix({ name, row: chosen, ...matrix }) {
  const canvas = byId("matrix").querySelector("canvas");
  const nRows = matrix.numbers.length / matrix.columns;
  const first = Math.max(0, Math.min(chosen - MOST_ROWS / 2, nRows - MOST_ROWS));
  const length = Math.min(nRows, MOST_ROWS);
  const [row, rows] = [chosen - first, Array.from({ length }, (_, i) => rowOf(matrix, first + i))];
  const [[ink], look] = [colours("ink").map(rgb), bySign(rows.flat())];
  paintPixels(canvas, rows, (number, i) => (i === row && !number ? [ink, 1] : look(number)));
  const [height, width] = [Math.min(128, rows.length * 6), Math.min(128, rows[0].length * 6)];
  Object.assign(canvas.style, { height: `${height}px`, width: `${width}px` });
  const mark = byId("matrix").querySelector("i");
  mark.style.top = `${(row / rows.length) * height}px`;
  mark.style.height = `${Math.max(2, height / rows.length)}px`;
  mark.style.width = `${width}px`;
  byId("matrix").querySelector("figcaption").textContent = `${titleOfMatrix(name)}, in code ${name}, ${nRows}\u00a0×\u00a0${matrix.columns}`;
}
