// Show the probabilities of the next token as bars that depend on temperature and top-k.

import { byId, element, percent, shown, tableRow } from "../text.js";

const temperature = byId("bar-temperature");
const topK = byId("bar-top-k");
const N_BARS = 12;

/** Return the probabilities of logits: `softmax` of model.py, with temperature and top-k. */
export function probabilities(logits, { temperature, k }) {
  const order = logits.map((_, i) => i).sort((a, b) => logits[b] - logits[a] || a - b);
  const kept = order.slice(0, temperature === 0 ? 1 : k);
  const exps = new Array(logits.length).fill(0);
  let norm = 0;
  for (const i of kept) {
    exps[i] = temperature ? Math.exp((logits[i] - logits[order[0]]) / temperature) : 1;
    norm += exps[i];
  }
  return exps.map((each) => each / norm);
}

export class Bars {
  #now = null; // the prediction
  #hasCome = false; // whether the next token is known
  #logits = null; // logits of all tokens; until they arrive, only temperature 1 can be shown
  #model;
  #drawn;
  #hasEnded = false; // whether the end has been drawn

  constructor(model, { changed, drawn, restarted }) {
    this.#model = model;
    this.#drawn = drawn;
    topK.max = model.vocab_size;
    for (const input of [temperature, topK]) {
      input.addEventListener("input", () => {
        this.#update();
        changed();
      });
    }
    byId("draw").addEventListener("click", () => (this.#hasEnded ? restarted() : this.#draw()));
  }

  read(parameters) {
    temperature.value = parameters.get("temperature") ?? 1;
    topK.value = parameters.get("top-k") ?? topK.max;
  }

  get parameters() {
    return {
      temperature: temperature.value === "1" ? undefined : temperature.value,
      "top-k": topK.value === topK.max ? undefined : topK.value,
    };
  }

  /** The chosen temperature and top-k. */
  get sampling() {
    return { temperature: Number(temperature.value), k: Number(topK.value) };
  }

  /** Show a prediction. Args: whether the text ends there, and whether the actual token is marked. */
  draw(now, isLast, hasCome) {
    byId("draw").textContent = isLast ? "Draw the next token" : "Draw from here";
    [this.#now, this.#hasCome, this.#hasEnded, this.#logits] = [now, hasCome, false, null];
    const rows = this.#bars().map(({ token, text }) => {
      const bar = element("div", { className: "bar" }, element("i"), element("b"));
      const name = text === null ? "others" : element("span", { className: "token" }, shown(text, true));
      const row = tableRow(name, bar, "");
      row.classList.toggle("came", hasCome && token === now.token);
      return row;
    });
    byId("bars").tBodies[0].replaceChildren(...rows);
    byId("draw").disabled = true;
    this.#update();
  }

  /** Offer a new text after the end has been drawn. */
  end() {
    this.#hasEnded = true;
    byId("draw").textContent = "Start again";
  }

  /** Set the logits of the prediction that is shown, and whether a token can be drawn there. */
  setLogits(logits, canDraw) {
    this.#logits = logits;
    byId("draw").disabled = !canDraw && !this.#hasEnded;
    this.#update();
  }

  /** The likeliest tokens, the actual one, and all others together. */
  #bars() {
    const likeliest = this.#now.alternatives.slice(0, N_BARS);
    if (this.#hasCome && likeliest.every(({ token }) => token !== this.#now.token)) {
      likeliest.push(this.#now); // the actual token
    }
    const probability = 1 - likeliest.reduce((sum, each) => sum + each.probability, 0);
    const others = { token: null, text: null, probability: Math.max(0, probability) };
    return this.#model.vocab_size > likeliest.length ? [...likeliest, others] : likeliest;
  }

  #update() {
    byId("bar-temperature-value").textContent = Number(temperature.value).toFixed(2);
    byId("bar-top-k-value").textContent = topK.value === topK.max ? "all" : topK.value;
    const found = this.#logits && probabilities(this.#logits, this.sampling);
    const bars = this.#bars();
    const shown = new Set(bars.map(({ token }) => token));
    const rest = found?.reduce((sum, p, token) => (shown.has(token) ? sum : sum + p), 0);
    [...byId("bars").tBodies[0].rows].forEach((row, i) => {
      const { token, probability } = bars[i];
      const p = !found ? probability : token === null ? rest : found[token];
      const bar = row.querySelector(".bar");
      bar.style.setProperty("--p", p);
      bar.style.setProperty("--at-one", probability);
      bar.lastChild.hidden = Math.abs(p - probability) < 0.002;
      row.lastChild.textContent = percent(p);
    });
  }

  #draw() {
    let left = Math.random() * (1 - 1e-9); // the sum of the probabilities may be rounded down
    const all = probabilities(this.#logits, this.sampling);
    const token = all.findIndex((p) => (left -= p) < 0);
    this.#drawn(token, all[token]);
  }
}
