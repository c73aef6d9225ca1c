// Show the settings of a training run as sliders over sensible values.

import { byId, element, grouped } from "../text.js";

// For each field of `ModelConfig` or `TrainConfig`: a label, the values, and Karpathy's value.
const SLIDERS = {
  n_embd: ["Width", [4, 8, 16, 24, 32, 48, 64, 96, 128], 16],
  n_head: ["Heads", [1, 2, 4, 8, 16], 4],
  n_layer: ["Layers", [1, 2, 3, 4, 6], 1],
  block_size: ["Context", [4, 8, 16, 32, 64, 128, 256], 16],
  lr: ["Learning rate", [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1], 0.01],
  steps: ["Steps", [100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000], 1000],
  batch_size: ["Batch size", [1, 2, 4, 8, 16, 32, 64], 1],
  validation: ["Held out", [0, 0.01, 0.05, 0.1, 0.2], 0],
};
const OF_MODEL = ["n_embd", "n_head", "n_layer", "block_size"];
const KARPATHYS_SEED = 42;
const parts = byId("plan-parts").querySelectorAll("input"); // parts of the model

export class TrainingSettings {
  #changed;
  #inputs = {}; // inputs by field
  #values = {};
  #seed = element("input", { type: "number", id: "plan-seed", required: true });

  /** Args: a function that is called when a setting changes. */
  constructor(changed) {
    this.#changed = changed;
    for (const [name, [label]] of Object.entries(SLIDERS)) {
      const input = element("input", { type: "range", min: 0, step: 1, id: `plan-${name}` });
      this.#inputs[name] = input;
      byId("plan-sliders").append(element("label", {}, `${label} `, input, element("output")));
      input.addEventListener("input", () => this.#update());
    }
    for (const part of parts) part.addEventListener("change", () => this.#update());
    Object.assign(this.#seed, { min: 0, max: Number.MAX_SAFE_INTEGER, step: 1 });
    byId("plan-sliders").append(element("label", {}, "Seed ", this.#seed));
    byId("plan-default").addEventListener("click", () => this.#reset());
    this.#reset();
  }

  /** The settings of a training run, in the form that a laboratory takes. */
  get chosen() {
    const { validation, ...fields } = this.#values;
    const without = [...parts].filter((part) => !part.checked).map((part) => part.value);
    const [model, config] = [{}, { seed: Number(this.#seed.value), without }];
    for (const [name, value] of Object.entries(fields)) {
      (OF_MODEL.includes(name) ? model : config)[name] = value;
    }
    return { model, config, validation };
  }

  #reset() {
    this.#values = {};
    for (const [name, [, values, value]] of Object.entries(SLIDERS)) {
      this.#inputs[name].max = values.length - 1;
      this.#inputs[name].value = values.indexOf(value);
    }
    this.#seed.value = KARPATHYS_SEED;
    for (const part of parts) part.checked = true;
    this.#update();
  }

  #update() {
    for (const [name, input] of Object.entries(this.#inputs)) {
      const values = this.#possible(name);
      if (values.length - 1 !== Number(input.max)) {
        const before = this.#values[name];
        input.max = values.length - 1;
        input.value = Math.max(0, values.findLastIndex((value) => value <= before));
      }
      const value = (this.#values[name] = values[input.value]);
      const shown = name === "validation" ? `${100 * value} %` : grouped(value);
      input.nextElementSibling.textContent = shown;
      input.ariaValueText = shown;
    }
    this.#changed();
  }

  /** Return the possible values of a slider; the number of heads must divide the width. */
  #possible(name) {
    const [, values] = SLIDERS[name];
    return name === "n_head" ? values.filter((n) => this.#values.n_embd % n === 0) : values;
  }
}
