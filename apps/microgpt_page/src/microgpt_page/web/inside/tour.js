// A tour of the model in six stops, to which the course links: #/inside?tour=3

import { byId } from "../text.js";

// The step of each stop, whether it is about learning, and a sentence.
const STOPS = [
  ["embedding", false, "A text is cut into tokens, here letters. Choose one above: everything below is about what comes after it."],
  ["layer0.query", false, "Attention fetches from earlier tokens what this one lacks: its query looks for keys that fit. Point at a number: it is a row of a matrix times the input."],
  ["layer0.attention 0", false, "Each map is a head, each row a token. A row says how much it takes from itself and from each token before; the empty half is the causal mask: nobody sees what comes later."],
  ["layer0.hidden", false, "The MLP thinks about one token alone. Each hidden unit responds to a pattern; only some are active. Switch it off below: how many nats does the text take then?"],
  ["probabilities", false, "At the end there is a probability for each token. One of them is drawn, appended, and it begins again: this is how it writes. The temperature makes likely ones likelier."],
  ["logits", true, "It learns backwards: what came should have had 100 %. The gradient of each weight says how the loss would change, and a step moves all of them a little the other way."],
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
