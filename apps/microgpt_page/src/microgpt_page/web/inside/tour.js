// A tour of the model in six stops, to which the course links: #/inside?tour=3

import { byId } from "../text.js";

// The step of each stop, whether it is about learning, and a few sentences.
const STOPS = [
  ["embedding", false, "A text is cut into tokens: letters, or parts of words. Choose one in the row below; everything under it is about what comes after that token. For each token, the model looks up a list of numbers, its embedding."],
  ["layer0.query", false, "Attention fetches from earlier tokens what this one lacks. From its numbers each token makes a query (what I look for), a key (what I offer) and a value (what I hand over). The better a query fits a key, the more of that value is taken. Point at a number to see how it is made."],
  ["layer0.attention 0", false, "Each map is a head, each row a token: how much it takes from itself and from each token before. A head has one mean for everything; several heads look at different tokens at once. The empty half is the causal mask: in training the model has to guess what comes, so to see it would be cheating."],
  ["layer0.hidden", false, "The MLP computes with the numbers of this token only. Each unit waits for a pattern: below stands after which letters it is most active, and what it makes likelier. Switch the whole MLP off below: the ability to combine is lost (“this letter after that one, so …”), and each letter only adds its own scores."],
  ["probabilities", false, "Each token gets a probability. One is drawn at random by them and appended, and everything begins again, until the end is drawn. The logits are divided by the temperature: below 1 likely tokens become likelier, above 1 all become more equal. Try the slider."],
  ["logits", true, "Learning goes backwards, from the error: what came should have had 100 %. The gradient of a weight says how the loss would change if the weight grew; a step moves each weight a little the other way. Click “Make this step”: what came becomes likelier. Then go on with a text of your own."],
];

export class Tour {
  #at = 0; // the stop that is shown, counted from 1, or 0
  #gone;

  /** Args: a function that is called with the step of a stop, and whether it is about learning. */
  constructor(gone) {
    this.#gone = gone;
    byId("tour").addEventListener("click", () => this.#go(this.#at ? 0 : 1));
    byId("stop-after").addEventListener("click", () => this.#go((this.#at + 1) % (STOPS.length + 1)));
    byId("stop-before").addEventListener("click", () => this.#go(this.#at - 1));
  }

  /** Show the stop of an address; return its step and whether it is about learning, if it has one. */
  read(parameters) {
    this.#at = Math.trunc(parameters.get("tour")) in [0, ...STOPS] ? Math.trunc(parameters.get("tour")) : 0;
    this.#show();
    return this.#at && !parameters.has("step") ? STOPS[this.#at - 1] : undefined;
  }

  get parameters() {
    return { tour: this.#at || undefined };
  }

  #go(at) {
    this.#at = at;
    this.#show();
    if (at) this.#gone(...STOPS[at - 1]);
  }

  #show() {
    byId("stop-of-tour").hidden = !this.#at;
    byId("tour").ariaPressed = String(this.#at > 0);
    if (!this.#at) return;
    byId("stop-text").textContent = STOPS[this.#at - 1][2];
    byId("stop-count").textContent = `${this.#at} of ${STOPS.length}`;
    byId("stop-before").disabled = this.#at === 1;
    byId("stop-after").textContent = this.#at === STOPS.length ? "End" : "Next stop ›";
  }
}
