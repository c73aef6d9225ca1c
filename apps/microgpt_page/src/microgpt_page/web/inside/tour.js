// A tour of the model in six stops, to which the course links: #/inside?tour=3

import { byId, known } from "../text.js";

// The step of each stop, whether it is about learning, the element that it shows, and a few sentences.
const STOPS = [
  ["embedding", false, "#positions", "A text is cut into tokens, here letters. After each token the model guesses the next one: choose a token in the row, and everything under it is about the guess after that token. First the model looks up the token’s embedding: a list of numbers that it has learned for it. The line with ⊕ in the picture carries this list on; at each ⊕ a part adds its result."],
  ["layer0.attention 2", false, "#sum", "A token alone does not know what stands before it. Attention fetches that: each token makes three lists of its numbers, a query (what I look for), a key (what I offer) and a value (what I hand over). Below, the query of this token is multiplied with the key of one at which it looks. The better they fit, the more of the value of that token is added to the list here."],
  ["layer0.heads", false, "#maps", "Each small map is a head: its row is the token that looks, its column the one that is looked at; a strong colour: much is taken. A head fetches one mixture, so there are several, each with a habit: compare them below. The empty corner is the causal mask: no token sees those after it, as the model has to guess them. Point at it."],
  ["layer0.hidden", false, "[value='layer0.hidden']", "The MLP works on this list alone, with what attention has fetched. Each unit adds up what speaks for its pattern and against it, and counts only if the sum is positive; then it makes some tokens likelier. Switch the whole MLP off: attention still chooses how much of each letter arrives, but each letter then favours its own next letters, whatever stands beside it: the rules about two letters together are gone. Below is an example; “What each part is for”, under the picture, measures the effect."],
  ["probabilities", false, "#next", "Each token has a score, its logit. The scores are divided by the temperature, and softmax makes probabilities of them. Then chance decides: one token is drawn by these probabilities, appended, and everything begins again, until the end is drawn. So the same model writes many texts. A temperature below 1 makes likely tokens likelier. Try the slider."],
  ["logits", true, "#make-step", "How a weight learns: what came should have had 100 %. The loss measures the error: minus the logarithm of the probability of what came, its surprise, as a mean over the tokens. From the loss, the model works backwards: for every weight it computes the gradient, how much the loss would rise if this weight grew a little. Then each weight moves a little the other way, so the loss falls. Click “Make this step” and look at the bars; below is one weight, with its gradient as a sum over the tokens."],
];

const TOLD = { text: "mariah", at: "5" }; // what all stops show, unless a link names another text
const OF_TEXT = ["m", "question", "text", "unfinished", "at"]; // parameters that name a text

export class Tour {
  #canTell; // whether the model can read its text
  #on;
  #at = 0; // the current stop, counted from 1; 0 without a tour
  #told = null; // the parameters of the text that all stops show
  #own = null; // parameters of what was shown before the tour
  #isNew = false; // whether to scroll to the stop

  /** Args: a model, and functions that return what is shown, and show something, as parameters of an address. */
  constructor(model, on) {
    this.#canTell = !model.chat && known(TOLD.text, model) === TOLD.text;
    this.#on = on;
    byId("tour").addEventListener("click", () => this.#go(this.#at ? 0 : 1));
    byId("stop-after").addEventListener("click", () => this.#go((this.#at + 1) % (STOPS.length + 1)));
    byId("stop-before").addEventListener("click", () => this.#go(this.#at - 1));
  }

  /** Show the stop that parameters name, if any, and add to them what it shows. */
  complete(parameters) {
    const number = Number(parameters.get("tour"));
    const stop = STOPS[number - 1];
    this.#at = stop ? number : 0;
    this.#show();
    const isTold = stop && this.#canTell && !ofText(parameters).size;
    for (const [name, value] of Object.entries(isTold ? TOLD : {})) parameters.set(name, value);
    this.#told = stop ? ofText(parameters) : null;
    if (!stop || parameters.has("step")) return;
    const [step, isBackward] = stop;
    parameters.set("step", step);
    if (isBackward) parameters.set("backward", "1");
  }

  get parameters() {
    return { tour: this.#at || undefined };
  }

  /** Keep the text that the reader has typed during the tour. */
  keep() {
    if (this.#told) this.#own = this.#on.shown();
  }

  /** Scroll to the element of the stop as soon as it exists, because the tour's box may cover it. */
  reached() {
    if (this.#isNew && this.#at) document.querySelector(STOPS[this.#at - 1][2]).scrollIntoView({ block: "nearest" });
    this.#isNew = false;
  }

  /** Show a stop in its described state or, at the end, restore the reader's state. */
  #go(at) {
    if (!this.#told) this.#own = this.#on.shown();
    this.#told ??= this.#canTell ? new URLSearchParams(TOLD) : ofText(this.#own);
    const parameters = new URLSearchParams(at ? this.#told : (this.#own ?? this.#told));
    if (at) parameters.set("tour", at);
    this.#on.show(parameters);
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

/** Return those of the given parameters that determine the text. */
const ofText = (parameters) => new URLSearchParams([...parameters].filter(([name]) => OF_TEXT.includes(name)));
