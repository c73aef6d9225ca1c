// A tour of the model in six stops, to which the course links: #/inside?tour=3

import { byId } from "../text.js";

// The step of each stop, whether it is about learning, and a few sentences.
const STOPS = [
  ["embedding", false, "A text is cut into tokens, here letters. After each token the model guesses the next one: choose a token in the row below, and everything under it is about the guess after that token. First the model looks up the token’s embedding: a list of numbers that it has learned for it."],
  ["layer0.query", false, "A token alone does not know what stands before it. Attention fetches that: each token makes three lists of its numbers, a query (what I look for), a key (what I offer) and a value (what I hand over). The better the query here fits the key of an earlier token, the more of the value of that token is added to the list here."],
  ["layer0.attention 0", false, "Each small map is a head. Row: the token that looks; column: the token that is looked at; dark: much is taken from there. One head can fetch only one mixture, so there are several, which look at different tokens at once. The empty corner is the causal mask: no token sees those after it, because they are what the model has to guess."],
  ["layer0.hidden", false, "The MLP looks at no other token. It works on the list that attention has filled. Each of its units waits for a pattern in it, such as “h, and an i before it”, is 0 if that is absent, and otherwise makes some tokens likelier. Switch the whole MLP off below, and look at the bars: each letter still has its say, but nothing answers to two of them together."],
  ["probabilities", false, "Each token gets a probability, and chance decides: one is drawn by these probabilities, appended, and everything begins again, until the end is drawn. So the same model writes many texts. Before, the logits are divided by the temperature: below 1 likely tokens become likelier, above 1 all become more equal. Try the slider."],
  ["logits", true, "How a weight learns: what came should have had 100 %. From that error one computes backwards to every weight its gradient: how much the loss would rise if this weight grew a little. Then each weight moves a little the other way, so the loss falls. Click “Make this step” and look at the bars; below is one weight, with its gradient as a sum over the tokens."],
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
