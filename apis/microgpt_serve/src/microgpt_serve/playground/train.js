// The view "Train": a model learns before the reader's eyes, in a worker of its own.

import { laboratory } from "./service.js";
import { byId, plural } from "./text.js";
import { TrainingSettings } from "./training_settings.js";
import { TrainingTexts } from "./training_texts.js";

const SPEEDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, Infinity]; // steps per second
const SPEED = 100;
const STOPPED =
  "The training has stopped: the browser may lack memory for it. Choose a smaller model or fewer texts, and train again.";
const speed = byId("train-speed");

export class Train {
  #connecting = null; // a promise of the connection to a laboratory, once it has been asked for
  #reading = Promise.resolve(null); // facts on the texts that it has read
  #texts = null; // those facts
  #training = null; // {about, losses, moments, step, isRunning}
  #chosenTexts = new TrainingTexts(() => this.#read());
  #settings = new TrainingSettings(() => this.#forecast());

  constructor() {
    byId("plan").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#try(() => this.#start());
    });
    byId("train-pause").addEventListener("click", () => {
      this.#try(() => (this.#training.isRunning ? this.#post("pause", {}) : this.#run()));
    });
    byId("train-step").addEventListener("click", () => this.#try(() => this.#run(this.#training.step + 1)));
    speed.max = SPEEDS.length - 1;
    speed.value = SPEEDS.indexOf(SPEED);
    speed.addEventListener("input", () => this.#setSpeed());
    this.#setSpeed();
  }

  show() {
    if (!this.#connecting) this.#read();
  }

  get #speed() {
    return SPEEDS[speed.value];
  }

  #setSpeed() {
    const shown = this.#speed === Infinity ? "full" : `${plural(this.#speed, "step")}/s`;
    byId("train-speed-value").textContent = speed.ariaValueText = shown;
    if (this.#training?.isRunning) this.#post("speed", { speed: this.#speed });
  }

  /** Return the answer of the laboratory, which is started if it does not run. */
  async #post(path, body, signal) {
    return (await this.#laboratory()).post(path, body, signal);
  }

  #laboratory() {
    this.#connecting ??= laboratory(STOPPED).catch((error) => {
      this.#connecting = null;
      throw error;
    });
    return this.#connecting;
  }

  /** Do something; show a problem if it fails. */
  async #try(action) {
    this.#tell("");
    try {
      return await action();
    } catch (error) {
      if (error.message === STOPPED) this.#connecting = null;
      this.#tell(error.message);
    }
  }

  #tell(problem) {
    byId("train-problem").textContent = problem;
    byId("train-problem").hidden = !problem;
  }

  /** Have the laboratory read the texts that are chosen. */
  #read() {
    this.#texts = null;
    this.#reading = this.#try(async () => {
      this.#texts = await this.#chosenTexts.readBy(await this.#laboratory());
      this.#forecast();
      return this.#texts;
    });
  }

  #forecast() {}

  async #start() {
    if (!this.#connecting) this.#read();
    const texts = await this.#reading;
    if (!texts) return;
    const about = await this.#post("start", { ...this.#settings.chosen, text: texts.text });
    this.#training = { about, step: 0, losses: new Float64Array(about.config.steps), moments: new Map() };
    byId("training").hidden = false;
    await this.#run();
  }

  /** Train up to a step, or to the end, and show what happens. */
  async #run(until) {
    const training = this.#training;
    if (training.isRunning) return;
    training.isRunning = true;
    byId("train-pause").textContent = "Pause";
    try {
      const progress = (await this.#laboratory()).stream("train", { until, speed: this.#speed });
      for await (const found of progress) this.#show(found);
    } finally {
      training.isRunning = false;
      byId("train-pause").textContent = "Continue";
    }
  }

  #show({ step, losses, moments, end }) {
    const training = this.#training;
    training.step = step;
    const first = step - losses.length;
    losses.forEach((loss, i) => (training.losses[first + i] = loss));
    for (const moment of moments) training.moments.set(moment.step, moment);
    byId("train-about").textContent = `Step ${step}`;
    if (end === "finished") byId("train-end").textContent = [...training.moments.values()].at(-1).samples.join(" ");
  }
}
