// Show how the model learns from the text: the gradient of each number and weight, and a training step.
// Blue is positive: the loss would rise if the number grew.

import { bySign, colours, paintPixels, rgb } from "../colours.js";
import { titleOfMatrix } from "./switches.js";
import { byId, element, isSpecial, nats, percent, plural, quoted, shown, tableRow } from "../text.js";

const [row, column] = [byId("weight-row"), byId("weight-column")];
const MOST_TOKENS = 12; // shown factors of a weight, at most
const MUON_LR_RATIO = 6;

const ADDED = "It is added to the residual stream, so the gradients are those of the stream after it.";
const SUMMED = "Each gradient is the sum of those of all numbers that are made of this one, times the weights between them.";
const STREAM =
  "The gradient goes on unchanged to what was added here, and up the stream; there, that through the branch is added.";
// The origin of the gradient, by the kind of a step, for gradients that are not shown as a sum.
const TEXTS = {
  logits:
    "The gradient of a logit is its probability, less 1 for the token that came, divided by the number of " +
    "predictions. The loss falls if the logit of what came grows and the others shrink.",
  mlp_output: ADDED,
  hidden: `${SUMMED} A unit that is 0 here has none.`,
  attention_output: ADDED,
  attention: "The gradient of an attention weight is negative if the values of that token would lower the loss.",
  query: "The query moves towards the keys of the tokens whose attention weights have a negative gradient.",
  key: "The gradients come from the queries that look here: that of this token, and of all later ones.",
  value: "The gradients come from all tokens that look here, times their attention weights.",
  embedding: "What arrives here is the gradient of the numbers that were looked up for the token and its position.",
  x: STREAM,
  x_after_attention: STREAM,
};

export class Backward {
  #model;
  #on;
  #matrix = ""; // the matrix of the shown weight
  isOn = false; // whether the view shows how the model learns
  #places = new Map(); // row and column by matrix, and the token of an automatic choice

  /** Args: a model, and functions that are called when the direction or the weight changes, and to make a step. */
  constructor(model, { turned, changed, stepped }) {
    this.#model = model;
    this.#on = { turned, changed };
    byId("forward").addEventListener("click", () => this.turn(false));
    byId("backward").addEventListener("click", () => this.turn(true));
    byId("make-step").addEventListener("click", stepped);
    for (const input of [row, column]) {
      input.addEventListener("input", () => this.#choose(this.#matrix, index(row), index(column)));
    }
    this.#show();
  }

  read(parameters) {
    this.isOn = parameters.has("backward");
    this.#show();
  }

  turn(isOn) {
    this.isOn = isOn;
    this.#show();
    this.#on.turned(isOn);
  }

  #choose(matrix, ...place) {
    this.#places.set(matrix, place);
    this.#on.changed();
  }

  #show() {
    byId("forward").ariaPressed = String(!this.isOn);
    byId("backward").ariaPressed = String(this.isOn);
    byId("learning").hidden = byId("why").hidden = !this.isOn;
  }

  /** Return the fields of a request. Args: the name of the matrix of the current step, if it has one. */
  request(matrix) {
    if (!this.isOn) return {};
    return { backward: [matrix ?? "lm_head", ...(this.#places.get(matrix) ?? [0, 0]).slice(0, 2)] };
  }

  /** Choose the weight with the largest gradient; in lm_head, a weight of the actual token. */
  #chooseLargest({ matrix, first, gradients }, { token }, input, at) {
    const columns = gradients[0].length;
    const isLast = matrix === "lm_head";
    const sizes = (isLast ? input : gradients.flat()).map(Math.abs);
    const place = sizes.indexOf(Math.max(...sizes));
    const found = [first[0] + Math.floor(place / columns), first[1] + (place % columns)];
    this.#choose(matrix, ...(isLast ? [token, place] : found), at);
  }

  /** Return the gradient of each number: of the activations, and of the logits before the mean over the text. */
  gradients({ backward: found, activations }, probabilities, at, token) {
    const active = (name, all) =>
      name.endsWith(".hidden") ? all.map((each, i) => (activations[name][i] ? each : 0)) : all;
    const gradients = Object.entries(activations).map(([name]) => [name, active(name, found.gradients[name])]);
    const wrong = probabilities.map((each, i) => (found.counted[at] ? each - Number(i === token) : 0));
    return { ...Object.fromEntries(gradients), probabilities: wrong };
  }

  /** Return a sentence on the gradients at a step. */
  sentence(kind, { counted }, at, came) {
    const n = counted.filter(Boolean).length;
    if (kind === "logits" && counted[at]) {
      const { probability: p } = came;
      const example = `(${brief(p)} − 1) / ${n} = ${brief((p - 1) / n)}`;
      return `${TEXTS.logits} Here, for ${quoted(came.text, true)}: ${example}.`;
    }
    if (kind !== "probabilities") return TEXTS[kind] ?? SUMMED;
    if (!counted[at]) {
      return "The model learns only to predict replies, so nothing is learned here. Choose a token of the reply.";
    }
    const share = came.probability > 0.995 ? "more than 99 %" : percent(came.probability);
    return (
      `The model gave ${share} to ${quoted(came.text, true)}, which came. It should have ` +
      "been 100 %, and 0 % for all others. These differences are shown. " +
      `“Next step back” asks how the numbers before caused them. The loss is the mean of ${plural(n, "prediction")}.`
    );
  }

  /** Show the effect of a training step on the text. */
  drawStep({ bits_before: before, bits_after: after, optimizer, weight_decay: decay, lr, counted }, isEdited) {
    const what = counted.slice(0, -1).includes(0) ? "reply" : "text";
    const n = counted.filter(Boolean).length;
    const rules =
      optimizer === "muon"
        ? `Muon, learning rate ${brief(MUON_LR_RATIO * lr)} in the layers, ${adam(decay)} with ${brief(lr)} outside`
        : `${adam(decay)}, learning rate ${brief(lr)}`;
    byId("learned").textContent =
      `One training step on this text alone (${rules}, with which this trained model was trained) would move all ` +
      `weights a little. Surprise at the whole ${what}: ${nats(before)} before, ${nats(after)} after. The loss is ` +
      `its mean, ${(before * Math.LN2).toFixed(2)} / ${n} = ${((before * Math.LN2) / n).toFixed(2)} nats before.`;
    byId("make-step").disabled = isEdited;
    byId("no-step").hidden = !isEdited;
  }

  /** Show the change of a matrix, and why one of its weights changes. Args: the tokens that are read. */
  drawWeight({ backward, activations }, read, at, now, nameOf) {
    const { weight, optimizer, weight_decay: decay, lr } = backward;
    const { matrix, value, gradient, move, factors } = weight;
    const [, , of] = this.#places.get(matrix) ?? [0, 0, ""];
    if (of !== undefined && of !== `${at} ${now.token}`) {
      this.#chooseLargest(weight, now, activations.logits_input ?? lastOf(activations), `${at} ${now.token}`);
      return;
    }
    const { n_embd: C, n_ff_exp: factor, vocab_size: V, block_size: T } = this.#model;
    const kind = (this.#matrix = matrix).replace(/.*\./, "");
    row.max = { wte: V, lm_head: V, wpe: T, mlp_fc1: factor * C }[kind] ?? C;
    column.max = kind === "mlp_fc2" ? factor * C : C;
    const { row: i, column: j } = weight;
    [row.value, column.value] = [i + 1, j + 1];
    const isMuon = optimizer === "muon" && matrix.startsWith("layer");
    const rate = isMuon ? MUON_LR_RATIO * lr : lr;
    const terms = factors.map(([input, slope], i) => [i % read.length, input, slope, slope * input]);
    const order = terms.filter(([, , , term]) => term).sort((a, b) => Math.abs(b[3]) - Math.abs(a[3]));
    const rows = order.slice(0, MOST_TOKENS).map(([i, ...numbers]) => {
      const label = isSpecial(read[i]) ? shown(read[i]) : `${shown(read[i])} at ${i}`;
      return tableRow(null, label, ...numbers.map(brief));
    });
    byId("factors").hidden = !rows.length;
    byId("factors").tBodies[0].replaceChildren(...rows);
    const what = /w[tp]e$/.test(matrix)
      ? `It is number ${j + 1} of the list of ${nameOf(matrix, i)}. The input is 1 where this list is looked up.`
      : `It multiplies number ${j + 1} of the input; the product is added to ${nameOf(matrix, i)}.`;
    const rest =
      order.length > MOST_TOKENS ? `; the ${MOST_TOKENS} largest of ${order.length} are shown` : "";
    byId("why-weight").textContent =
      `Row ${i + 1}, column ${j + 1} of ${matrix}, the ${titleOfMatrix(matrix)}, is ${brief(value)}. ${what} ` +
      `Its gradient is the sum of products, one per token${rest}:`;
    byId("why-move").textContent =
      `The sum is ${brief(gradient)}: ${direction(gradient)}. ${moved(isMuon ? "Muon" : adam(decay), rate, move, gradient)}`;
    byId("why-matrix").textContent =
      "The gradients of all weights of this matrix, and their moves. A row for " +
      `${{ wte: "each token", lm_head: "each token", wpe: "each position" }[matrix] ?? "each output"}, ` +
      `a column for each input, counted from 1; code counts from 0: ${matrix}[${i}][${j}]. Choose a weight to see why it moves:`;
    byId("why-maps").replaceChildren(
      this.#map("Gradients", weight, weight.gradients),
      this.#map("Moves: blue up, orange down", weight, weight.moves),
    );
  }

  #map(title, { matrix, row: chosenRow, column: chosenColumn, first }, all) {
    const canvas = element("canvas", { className: "moves", role: "img", ariaLabel: `${title} of ${matrix}` });
    canvas.style.width = `${Math.min(11, 0.6 * all[0].length)}rem`;
    canvas.style.height = `${Math.min(11, 0.6 * all.length)}rem`;
    const [[ink], look] = [colours("ink").map(rgb), bySign(all.flat())];
    const isChosen = (i, j) => first[0] + i === chosenRow && first[1] + j === chosenColumn;
    paintPixels(canvas, all, (number, i, j) => (isChosen(i, j) ? [ink, 1] : look(number)));
    canvas.addEventListener("click", ({ offsetX, offsetY }) => {
      const place = (offset, size, n) => Math.max(0, Math.min(n - 1, Math.floor((offset * n) / size)));
      const [i, j] = [
        place(offsetY, canvas.clientHeight, all.length),
        place(offsetX, canvas.clientWidth, all[0].length),
      ];
      this.#choose(matrix, first[0] + i, first[1] + j);
    });
    return element("figure", {}, element("figcaption", {}, title), canvas);
  }
}

/** Return the residual stream after the last layer. */
const lastOf = (activations) =>
  activations[Object.keys(activations).findLast((name) => name.endsWith(".x"))];

/** Return the index of a row or column in a field, which counts from 1. */
const index = ({ value, max }) => Math.max(1, Math.min(Math.trunc(value), max)) - 1 || 0;

const direction = (gradient) => {
  if (!gradient) return "the text does not depend on this weight";
  const [word, way] = gradient > 0 ? ["larger", "down"] : ["smaller", "up"];
  return `the loss would rise if it were ${word}, so it moves ${way}`;
};

/** Return the name of the rule of a step: AdamW is Adam with weight decay. */
const adam = (decay) => (decay ? "AdamW" : "Adam");

const moved = (rule, rate, move, gradient) => {
  if (!gradient) return move ? `Weight decay moves it by ${brief(move)}.` : "It does not move.";
  const how =
    rule === "Muon"
      ? "Muon looks at the gradients of the whole matrix together, and makes large and small ones more alike"
      : `${rule} divides the gradient by its usual size in the steps so far. Each click here begins anew, with this ` +
        "gradient alone, so all weights move equally far; in a training, one whose gradient changes its sign often moves less";
  return `${how}. Times the learning rate ${brief(rate)}: the weight moves by ${brief(move)}.`;
};

/** Return a number with few digits. */
export const brief = (number) => {
  const digits =
    Math.abs(number) >= 1e-3 ? number.toFixed(Math.abs(number) >= 100 ? 1 : 4) : number.toExponential(1);
  return number === 0 ? "0" : digits.replaceAll("-", "−");
};
