// The view "Train": watch a model learn, in a separate worker.
//
// The first training run starts automatically: it takes five seconds, and pauses while the page is
// hidden. If the user prefers reduced motion, only its end is shown.

import { pageWith, save } from "./saved_page.js";
import { laboratory, pageText } from "../client.js";
import { byId, duration, grouped, plural, printable, showText } from "../text.js";
import { TrainedModel } from "./trained_model.js";
import { TrainingSettings } from "./training_settings.js";
import { TrainingTexts } from "./training_texts.js";

const SPEEDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, Infinity]; // steps per second
const SPEED = 200;
const SILENT_S = 20; // seconds of silence until a laboratory is considered dead
const LOST_S = 60; // seconds of training that may be lost without a question
const NUMBERS_PER_MS = 1e6; // weights times tokens per millisecond of training, about
const STEP_MS = 0.1; // additional time per step
const STOPPED =
  "The training has stopped; perhaps the browser lacks memory. Train again, with a smaller model " +
  "or fewer texts.";
const [speed, rewind] = [byId("train-speed"), byId("train-moment")];

export class Train {
  #connecting = null; // a promise of the connection to a laboratory, once requested
  #reading = null; // a promise of the description of the chosen texts
  #nReads = 0;
  #nStarts = 0;
  #facts = null; // that description
  #name = "";
  #about = null; // about the training run, if any
  #step = 0;
  #running = null; // a promise of the end of `#run`
  #isDiverged = false;
  #isFirst = true; // whether the page has started the training
  #isQuiet = false; // whether the page has paused the run
  #wanted = null; // the moment to return to
  #seconds = 0; // seconds of training that would be lost
  #started = 0; // start of the current run
  settings = new TrainingSettings(() => this.#forecast());
  texts = new TrainingTexts(() => this.#read());
  #shown = new TrainedModel({
    ask: (body) => this.#ask("explain", body),
    rewind: (step) => this.#rewind(step),
  });

  /** Args: the model of the other views, which is not changed. */
  constructor({ name }) {
    byId("train-given").textContent = `, in the trained model “${printable(name)}”.`;
    byId("plan").addEventListener("submit", () => this.#try(() => this.#start(true)));
    const on = (id, action) => byId(id).addEventListener("click", () => this.#try(action));
    on("train-pause", () => {
      if (this.#running) return this.#pause();
      return this.#isOver ? this.#start(true) : this.#run();
    });
    on("train-step", async () => {
      await this.#pause();
      await this.#run(this.#step + 1);
    });
    on("save-page", () => this.#savePage());
    on("open-page", async () => open(`${URL.createObjectURL(await this.#page())}#/inside`));
    speed.max = SPEEDS.length - 1;
    speed.value = SPEEDS.indexOf(SPEED);
    speed.addEventListener("input", () => this.#setSpeed());
    rewind.addEventListener("input", () => this.#rewind(this.#shown.steps[rewind.value]));
    addEventListener("beforeunload", (event) => {
      const running = this.#running ? (performance.now() - this.#started) / 1000 : 0;
      if (this.#seconds + running > LOST_S) event.preventDefault(); // the browser asks to confirm
    });
    document.addEventListener("visibilitychange", () => this.#try(() => this.#sleep()));
    if (matchMedia("(prefers-reduced-motion)").matches) speed.value = speed.max;
    this.#setSpeed();
  }

  show() {
    if (!this.#reading && !document.hidden) this.#try(() => this.#start());
    this.resume();
  }

  /** Pause the automatic training run while the page is hidden. */
  async #sleep() {
    if (document.hidden && this.#isFirst && this.#running) await this.#pause(true);
    else if (!document.hidden && this.#isQuiet) await this.#run();
    else if (!byId("train").hidden) this.show();
  }

  resume() {
    if (this.#about) this.#shown.draw();
  }

  get #speed() {
    return SPEEDS[speed.value];
  }

  #setSpeed() {
    const shown = this.#speed === Infinity ? "full" : `${plural(this.#speed, "step")}/s`;
    byId("train-speed-value").textContent = speed.ariaValueText = shown;
    if (this.#running) this.#try(() => this.#ask("speed", { speed: this.#speed }));
    this.#forecast();
  }

  /** Return the connection to the laboratory; start the laboratory if necessary. */
  #laboratory() {
    this.#connecting ??= laboratory(STOPPED).catch((error) => {
      this.#connecting = null;
      throw error;
    });
    return this.#connecting;
  }

  /** Return the answer of the laboratory. */
  async #ask(name, body) {
    return (await this.#laboratory()).ask(name, body);
  }

  /** Call a function; show the error if it fails. */
  async #try(action) {
    showText("train-problem", "");
    try {
      return await action();
    } catch (error) {
      if (error.message === STOPPED) this.#forget();
      showText("train-problem", error.message);
    }
  }

  /** Discard the training run of a laboratory that has died; the next one reads the texts again. */
  #forget() {
    this.#connecting = this.#reading = this.#about = null;
    this.#seconds = 0;
    byId("training").hidden = byId("keep").hidden = true;
  }

  /** Make the laboratory read the chosen texts, after the texts that it is reading. */
  #read() {
    this.#facts = null;
    this.#forecast();
    const [number, before] = [++this.#nReads, this.#reading];
    this.#reading = this.#try(async () => {
      await before;
      if (number < this.#nReads) return null; // other texts have been chosen meanwhile
      this.#facts = await this.texts.readBy(await this.#laboratory());
      this.#forecast();
      return this.#facts;
    });
  }

  /** Show how many weights the model has, and how long its training takes. */
  #forecast() {
    byId("plan-about").textContent = "";
    if (!this.#facts) return;
    const { model, config, validation } = this.settings.chosen;
    const { nTokens: V, nDocuments, nCharacters, text } = this.#facts;
    const { n_embd: C, n_layer: L, block_size: T } = model;
    const n = (2 * V + T) * C + 12 * L * C ** 2;
    const length = text === "stream" ? T : Math.min(T, nCharacters / nDocuments + 1);
    const full = config.steps * (STEP_MS + (n * length * config.batch_size) / NUMBERS_PER_MS);
    const seconds = Math.max(full / 1000, config.steps / this.#speed);
    const pace = this.#speed === Infinity ? "full speed" : `${plural(this.#speed, "step")} per second`;
    const most = this.#speed === Infinity ? "" : `, and ${duration(full / 1000)} at full speed`;
    const [nRead, nThere] = [config.steps * config.batch_size, nDocuments * (1 - validation)];
    const what =
      nRead < nThere
        ? `${grouped(nRead)} of the ${grouped(nDocuments)}`
        : `each about ${plural(Math.round(nRead / nThere), "time")}`;
    const batch = `Each step reads ${plural(config.batch_size, "document")}, so the training reads ${what}. `;
    const reads = text === "stream" ? "" : batch;
    byId("plan-about").textContent =
      `${plural(nLearning({ num_params: n, n_embd: C, n_layer: L, n_ff_exp: 4, block_size: T }, config.without), "weight")} learn. ${reads}It takes ${duration(seconds)} at ${pace}${most}.`;
  }

  /** Train a new model. Args: whether the user asked for it. */
  async #start(isAsked = false) {
    const [start, number] = [byId("plan-start"), ++this.#nStarts];
    start.disabled = isAsked; // also while texts are read: a second click would start again
    start.textContent = isAsked ? "Preparing …" : "Train";
    const chosen = this.settings.chosen;
    const { without } = chosen.config;
    let [texts, about] = [null, null];
    try {
      await this.#pause(true);
      texts = await this.#textsRead();
      if (number < this.#nStarts) return; // the user has started another one meanwhile
      if (texts) about = await this.#ask("start", { ...chosen, text: texts.text });
      if (number < this.#nStarts) return;
    } finally {
      if (number === this.#nStarts) start.disabled = false;
      if (number === this.#nStarts) start.textContent = "Train";
    }
    if (!texts) {
      const problem = "There are no texts to train on. Choose some above.";
      if (byId("train-problem").hidden) showText("train-problem", problem);
      return;
    }
    [this.#about, this.#name] = [about, this.texts.name];
    [this.#step, this.#seconds, this.#isDiverged, this.#isFirst] = [0, 0, false, !isAsked];
    byId("saved").textContent = "";
    byId("training").hidden = byId("keep").hidden = false;
    const what = texts.text === "stream" ? "text" : `${grouped(texts.nDocuments)} ${this.texts.noun}`;
    const lacks = without.length ? `, without ${without.join(" and ")}, learns` : " learns";
    byId("train-what").textContent =
      `A new model with ${plural(nLearning(this.#about.model, without), "weight")}${lacks} from ${what}, at a learning rate of ${this.#about.config.lr}`;
    this.#shown.begin(this.#about, texts.first, without);
    if (isAsked) {
      byId("train-pause").focus({ preventScroll: true });
      byId("train").scrollIntoView({ block: "start" });
    }
    await this.#run();
  }

  /** Return a description of the last chosen texts as soon as they have been read. */
  async #textsRead() {
    if (!this.#reading) this.#read();
    for (;;) {
      const reading = this.#reading;
      const texts = await reading;
      if (reading === this.#reading) return texts;
    }
  }

  /** Pause training. Args: whether to show no message. */
  async #pause(isQuiet = false) {
    if (!this.#running) return;
    this.#isQuiet = isQuiet;
    await this.#ask("pause");
    await this.#running;
  }

  /** Train up to a step or to the end, and show the progress. */
  #run(until) {
    this.#running ??= this.#follow(until).finally(() => {
      this.#running = null;
      this.#update();
    });
    return this.#running;
  }

  async #follow(until) {
    const connection = await this.#laboratory();
    let nSilent = 0; // ticks without a message
    const timer = setInterval(() => {
      if (++nSilent > SILENT_S) connection.fail();
    }, 1000);
    this.#started = performance.now();
    try {
      byId("train-end").textContent = "";
      this.#isQuiet = false;
      for await (const progress of connection.stream("train", { until, speed: this.#speed })) {
        nSilent = 0;
        this.#take(progress);
      }
    } finally {
      clearInterval(timer);
      this.#seconds += (performance.now() - this.#started) / 1000;
    }
  }

  #take({ step, losses, moments, end }) {
    this.#isDiverged = end === "diverged";
    this.#step = step;
    this.#shown.add(step, losses, moments);
    this.#update();
    const remedy = "use a lower learning rate.";
    const worse = this.#shown.isWorse(step) ? ` It is worse than guessing; ${remedy}` : "";
    const ends = {
      finished: `The training is finished. ${end === "finished" ? this.#shown.ending(step) : ""}${worse}`,
      diverged: `The loss became infinite at step ${grouped(step + 1)}; ${remedy}`,
      paused: `Paused at step ${grouped(step)}.`,
    };
    if (end && !this.#isQuiet) byId("train-end").textContent = ends[end];
  }

  /** Return to a moment. If several are requested meanwhile, only the last request counts. */
  async #rewind(step) {
    const isBusy = this.#wanted !== null;
    this.#wanted = step;
    if (isBusy) return;
    await this.#try(async () => {
      await this.#pause();
      while (this.#wanted !== this.#step || this.#isDiverged) {
        ({ step: this.#step } = await this.#ask("rewind", { step: this.#wanted }));
        this.#isDiverged = false;
        this.#shown.at(this.#step);
        this.#update();
        byId("train-end").textContent = `The model is that of step ${grouped(this.#step)}.`;
      }
    });
    this.#wanted = null;
  }

  get #isOver() {
    return this.#step === this.#about.config.steps || this.#isDiverged;
  }

  /** Show the current step, and enable the possible actions. */
  #update() {
    if (!this.#about) return;
    const { steps } = this.#about.config;
    const [pause, step] = [byId("train-pause"), byId("train-step")];
    pause.textContent = this.#running ? "Pause" : this.#isOver ? "Train again" : "Continue";
    pause.disabled = false;
    step.disabled = this.#isOver && !this.#running;
    const moments = this.#shown.steps;
    rewind.max = moments.length - 1;
    rewind.value = moments.findLastIndex((each) => each <= this.#step);
    const shown = `step ${grouped(moments[rewind.value] ?? 0)}`;
    byId("train-moment-value").textContent = rewind.ariaValueText = shown;
    byId("train-about").textContent = this.#shown.sentence(this.#step, steps);
  }

  /** Return the file of this page with the model of the step that is shown. */
  async #page() {
    const { steps } = this.#about.config;
    const at = this.#shown.steps[rewind.value] ?? 0;
    const name = at < steps ? `${this.#name}, step ${grouped(at)} of ${grouped(steps)}` : this.#name;
    const model = await this.#ask("model", { name });
    return new Blob([await pageWith(pageText(), model, this.#about.model.num_params)], { type: "text/html" });
  }

  async #savePage() {
    save(await this.#page(), "text/html", `${this.#name}.html`);
    this.#seconds = 0;
    byId("saved").textContent = `Saved as ${this.#name}.html, with the model of the step that is shown.`;
  }
}

/** Return the number of weights that are trained if some parts are removed. */
function nLearning({ num_params: all, n_embd: C, n_layer: L, n_ff_exp: factor, block_size: T }, without) {
  const nOfPart = { attention: 4 * L * C ** 2, MLP: 2 * L * factor * C ** 2, positions: T * C };
  return without.reduce((n, part) => n - nOfPart[part], all);
}
