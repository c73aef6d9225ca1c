// The view "What if": train the model of "Train" again on changed documents, in a separate worker.

import { laboratory } from "../client.js";
import { byId, duration, showText } from "../text.js";
import { showComparison } from "./what_if_results.js";

const STOPPED =
  "The training has stopped: the browser may lack memory for it. Choose a smaller model, and ask again.";
const form = byId("wish");
const fields = { start: "wish-start", texts: "wish-texts" };

export class WhatIf {
  #texts;
  #settings;
  #connecting = null; // a promise of the connection to a laboratory, once requested
  #stopping = new AbortController();
  #about = ""; // the question that the figures answer

  /** Args: the texts and the settings that are chosen in the view. */
  constructor(texts, settings) {
    this.#texts = texts;
    this.#settings = settings;
    form.addEventListener("submit", () => this.#ask());
    byId("wish-stop").addEventListener("click", () => this.#stopping.abort());
    byId("wish-kind").addEventListener("change", () => this.#showFields());
    form.addEventListener("input", () => this.#hide()); // they answered another question
    this.#showFields();
  }

  show() {
    this.resume();
  }

  /** Hide results for texts or settings that differ from the current ones in "Train". */
  resume() {
    this.#hide();
  }

  #showFields() {
    for (const label of form.querySelectorAll("[data-kind]")) {
      label.hidden = label.dataset.kind !== byId("wish-kind").value;
    }
  }

  /** Show the results of a laboratory until it is stopped. */
  async #ask() {
    const { signal } = (this.#stopping = new AbortController());
    const question = asked();
    setRunning(true);
    this.#about = "";
    this.#hide();
    const about = this.#about;
    try {
      for await (const { progress, comparison } of this.#answers(question, signal)) {
        if (progress) showProgress(progress);
        if (about !== this.#about) continue; // another question is in the form
        if (comparison) showComparison(comparison, question, this.#texts.noun);
      }
    } catch (error) {
      if (error.message === STOPPED) this.#connecting = null;
      if (!signal.aborted) showText("wish-problem", error.message);
    } finally {
      setRunning(false);
    }
  }

  /** Hide results that do not match the chosen change, text, training run and texts. */
  #hide() {
    const { wish, text } = asked();
    const about = JSON.stringify([wish, text, this.#settings.chosen, this.#texts.nChanges]);
    if (about !== this.#about) byId("compared").hidden = true;
    this.#about = about;
  }

  async *#answers(question, signal) {
    this.#connecting ??= laboratory(STOPPED).catch((error) => {
      this.#connecting = null;
      throw error;
    });
    const connection = await this.#connecting;
    const texts = await this.#texts.readBy(connection);
    if (!texts) throw new Error("There are no texts. Choose some above.");
    const { config, ...others } = this.#settings.chosen;
    const settings = { ...others, config: { ...config, text: texts.text } };
    yield* connection.stream("compare", { settings, question }, signal);
  }
}

/** Return the question in the form. */
function asked() {
  const wish = { kind: byId("wish-kind").value };
  for (const [name, id] of Object.entries(fields)) wish[name] = byId(id).value;
  return { wish, text: byId("wish-asked").value, nSeeds: Number(byId("wish-seeds").value) };
}

function setRunning(isRunning) {
  byId("wish-compare").disabled = isRunning;
  byId("what-if").ariaBusy = String(isRunning); // screen readers wait for the last figures
  byId("wish-stop").hidden = byId("wish-progress").hidden = !isRunning;
  if (!isRunning) return;
  showProgress({ share: 0, secondsLeft: null });
  showText("wish-problem", "");
}

function showProgress({ share, secondsLeft }) {
  byId("wish-bar").value = share;
  const left = secondsLeft === null ? "" : `, ${duration(secondsLeft)} left`;
  byId("wish-left").textContent = `${Math.floor(100 * share)} %${left}`;
}
