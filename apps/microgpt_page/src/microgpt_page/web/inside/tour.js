// A tour of the model in six stops, to which the course links: #/inside?tour=3

import { byId } from "../text.js";

// The step of each stop, whether it is about learning, what it shows in the page, and a few sentences.
const STOPS = [
  ["embedding", false, "#positions", "A text is cut into tokens, here letters. After each token the model guesses the next one: choose a token in the row, and everything under it is about the guess after that token. First the model looks up the token’s embedding: a list of numbers that it has learned for it. The line with ⊕ in the picture carries this list on; at each ⊕ a part adds its result."],
  ["layer0.attention 2", false, "#sum", "A token alone does not know what stands before it. Attention fetches that: each token makes three lists of its numbers, a query (what I look for), a key (what I offer) and a value (what I hand over). Below, the query of this token is multiplied with the key of one at which it looks. The better they fit, the more of the value of that token is added to the list here."],
  ["layer0.heads", false, "#maps", "Each small map is a head. Row: the token that looks; column: the token that is looked at; dark: much is taken from there. One head can fetch only one mixture, so there are several: below, it says where each looks, here and on average. The empty corner is the causal mask: no token sees those after it, because they are what the model has to guess. Point at it."],
  ["layer0.hidden", false, "[value='layer0.hidden']", "The MLP works on this list alone, to which attention has added what it fetched. A unit counts only if its sum is positive: it waits for a pattern, then makes some tokens likelier. Switch the whole MLP off: attention still chooses how much of each letter arrives, but no score waits for two letters together. “What each part is for”, under the picture, says what is lost."],
  ["probabilities", false, "#next", "Each token has a score, its logit. The scores are divided by the temperature, and softmax makes probabilities of them. Then chance decides: one token is drawn by these probabilities, appended, and everything begins again, until the end is drawn. So the same model writes many texts. A temperature below 1 makes likely tokens likelier. Try the slider."],
  ["logits", true, "#make-step", "How a weight learns: what came should have had 100 %. From that error, the model works backwards: for every weight it computes the gradient, how much the loss would rise if this weight grew a little. Then each weight moves a little the other way, so the loss falls. Click “Make this step” and look at the bars; below is one weight, with its gradient as a sum over the tokens."],
];

export class Tour {
  #at = 0; // the stop that is shown, counted from 1, or 0
  #gone;
  #isNew = false; // whether the stop has not been scrolled to

  /** Args: a function that is called with the step of a stop, if any, and whether it is about learning. */
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

  /** Scroll to what the stop shows, once it is there: the box of the tour may hide it on a small screen. */
  reached() {
    if (this.#isNew && this.#at) document.querySelector(STOPS[this.#at - 1][2]).scrollIntoView({ block: "nearest" });
    this.#isNew = false;
  }

  #go(at) {
    this.#at = at;
    this.#show();
    this.#gone(...(STOPS[at - 1] ?? []));
  }

  #show() {
    this.#isNew = true;
    byId("stop-of-tour").hidden = !this.#at;
    byId("tour").ariaPressed = String(this.#at > 0);
    if (!this.#at) return;
    byId("stop-text").textContent = STOPS[this.#at - 1].at(-1);
    byId("stop-count").textContent = `${this.#at} of ${STOPS.length}`;
    byId("stop-before").disabled = this.#at === 1;
    byId("stop-after").textContent = this.#at === STOPS.length ? "End" : "Next stop ›";
  }
}
