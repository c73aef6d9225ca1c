// Show the progress of a model in training: its losses, texts, embeddings and attention.

import { ActiveUnits } from "./active_units.js";
import { EmbeddingMap, MAX_SHOWN } from "./embedding_map.js";
import { LossChart } from "./loss_chart.js";
import { Maps } from "../attention_maps.js";
import { byId, element, grouped, instead, known, plural, said } from "../text.js";

const CLEAR = 0.01; // nats by which a held-out loss has risen before the model is said to overfit
const ATTENTION_MS = 200; // between two updates of the attention
const list = byId("train-samples");
const text = byId("train-text");

export class TrainedModel {
  #on;
  #about;
  #moments = []; // moments reached so far, in order
  #at = 0; // the current step
  #before = ""; // the sentence on the previous run
  #chart = new LossChart(byId("loss-chart"), 0.36);
  #units = new ActiveUnits();
  #tokens = new EmbeddingMap(byId("embedding-map"), 0.43);
  #maps;
  #frame = 0;
  #isAsking = false;
  #isStale = false; // whether the attention maps belong to an earlier step or another text

  /** Args: `ask` returns the explanation of a text; `rewind` is called with a step to return to. */
  constructor(on) {
    this.#on = on;
    text.addEventListener("input", () => this.#look());
    list.addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (button) on.rewind(Number(button.value));
    });
  }

  /** Begin with an untrained model. Args: its description, the first text, and the parts that do not learn. */
  begin(about, first, without) {
    const last = this.steps.at(-1);
    this.#before = last ? ` The training before (dotted): ${this.#figures(last).join(", ")}.` : "";
    byId("train-maps").classList.toggle("off", without.includes("attention"));
    byId("active-units").classList.toggle("off", without.includes("MLP"));
    this.#units.isOff = without.includes("MLP");
    byId("train-without").hidden = !without.length;
    const { model, config, labels, nHeldOut, pairs } = about;
    this.#about = about;
    this.#moments = [];
    this.#at = 0;
    list.replaceChildren();
    const guessing = Math.log(model.vocab_size);
    const isCut = labels.length > MAX_SHOWN;
    byId("shown-tokens").textContent = isCut ? ` The first ${MAX_SHOWN} are shown.` : "";
    byId("width").textContent = `${model.n_embd} numbers`;
    byId("held-out-hint").hidden = !nHeldOut;
    this.#chart.begin(config.steps, { [`uniform guess, ln ${model.vocab_size}`]: guessing, "table of pairs of tokens": pairs });
    byId("n-smoothed").textContent = grouped(this.#chart.nSmoothed);
    this.#tokens.begin(labels);
    const [layer, maps, sentence] = ["layer", "maps", "attended"].map((id) => byId(`train-${id}`));
    const on = { changed: () => this.#look(), pointed: () => {}, chosen: () => {} };
    this.#maps?.close();
    this.#maps = new Maps({ layer, maps, sentence }, model, on);
    this.#maps.rest = "Each row is a token. The stronger the colour of a cell, the more it takes from the token of that column.";
    text.maxLength = model.block_size - 1; // with the start token, it fits into the context
    text.value = [...first].slice(0, model.block_size - 1).join("");
  }

  /** The steps of the moments. */
  get steps() {
    return this.#moments.map(({ step }) => step);
  }

  /** Add the progress of a training run, and show the latest step. */
  add(step, losses, moments) {
    this.#chart.add(step - losses.length, losses);
    for (const moment of moments) {
      this.#moments.push(moment);
      if (moment.heldOut !== null) this.#chart.addHeldOut(moment.step, moment.heldOut);
      list.prepend(this.#row(moment));
    }
    this.at(step);
  }

  /** Show a step. */
  at(step) {
    this.#at = this.#chart.at = step;
    this.draw();
  }

  /** Show the current step again, for example after the view was hidden. */
  draw() {
    this.#chart.draw();
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    const i = this.#moments.findLastIndex((each) => each.step <= this.#at);
    const moment = this.#moments[i];
    if (!moment) return;
    this.#tokens.show(moment.places);
    this.#units.show(moment.active);
    list.querySelector("[aria-current]")?.removeAttribute("aria-current");
    const row = list.children[this.#moments.length - 1 - i];
    row.setAttribute("aria-current", "step");
    list.scrollTop = row.offsetTop - list.offsetTop;
    this.#chart.canvas.ariaLabel = `The loss: ${this.sentence(this.#at, this.#about.config.steps)}`;
    this.#tokens.canvas.ariaLabel = `Map of the embeddings at step ${moment.step}`;
    this.#look();
  }

  /** Return whether the mean loss before a step is above that of guessing. */
  isWorse(step) {
    return this.#chart.mean(step) > Math.log(this.#about.model.vocab_size);
  }

  /** Return sentences on a finished training run: its result, and its best step. */
  ending(step) {
    const mean = `The mean loss of the last ${plural(this.#chart.nSmoothed, "step")} is ${this.#chart.mean(step).toFixed(3)}`;
    const last = `that of the last step alone ${this.#chart.loss(step).toFixed(4)}`;
    const heldOut = this.#moments.filter((each) => each.heldOut !== null);
    const best = heldOut.reduce((a, b) => (b.heldOut < a.heldOut ? b : a), heldOut[0]);
    const isPast = best && heldOut.at(-1).heldOut - best.heldOut > CLEAR;
    const overfits = isPast
      ? ` The held-out loss was lowest at step ${grouped(best.step)}, with ${best.heldOut.toFixed(3)}${this.#about.mark}: ` +
        "since then, the model overfits. Rewind to that moment to keep the model that predicts new texts best."
      : "";
    return `${mean}, ${last}.${overfits}`;
  }

  /** Return a sentence on a step, and one on the previous training run. */
  sentence(step, steps) {
    const parts = [`Step ${grouped(step)} of ${grouped(steps)}`, ...this.#figures(step)];
    return `${parts.join(", ")}.${this.#before}`;
  }

  /** Return the losses of a step with their names. */
  #figures(step) {
    const heldOut = this.#moments.findLast((each) => each.step <= step)?.heldOut ?? null;
    const own = step ? [`loss ${this.#chart.loss(step).toFixed(4)}`, `mean ${this.#chart.mean(step).toFixed(3)}`] : [];
    return heldOut === null ? own : [...own, `held out ${heldOut.toFixed(3)}${this.#about.mark}`];
  }

  #row({ step, samples, known }) {
    const look = { type: "button", value: step, title: "Rewind to this step" };
    const button = element("button", look, `step ${grouped(step)}`);
    const texts = samples.map((each, i) => said(each, known[i] ? "said known" : "said"));
    return element("li", {}, button, element("div", {}, ...texts));
  }

  /** Show the attention weights of the text, a few times per second. */
  async #look() {
    this.#isStale = true;
    if (this.#isAsking || byId("train").hidden) return;
    this.#isAsking = true;
    while (this.#isStale) {
      this.#isStale = false;
      const body = { text: known(text.value, this.#about.model), top: 0, attention: this.#maps.heads };
      const found = await this.#on.ask(body).catch(({ message }) => ({ message }));
      byId("train-text-problem").textContent = found.message ?? instead(text.value, this.#about.model);
      if (found.attention) this.#maps.draw(found.attention, found.read);
      await new Promise((resolve) => setTimeout(resolve, ATTENTION_MS));
    }
    this.#isAsking = false;
  }
}
