// What each head and each MLP is for: sentences on what it does, and the text without it.

import { titleOfPart } from "./switches.js";
import { N_TEXTS } from "./units.js";
import { button, byId, element, nats, percent, plural, quoted, tableRow } from "../text.js";

const LEAST = 0.01; // change of a probability that is told
const PLACES = ["itself", "one before", "two before", "further back", "the start"];
const N_PLACES = 2; // that are told

export class Parts {
  #model;
  #chosen;
  #found = [];
  #heads = []; // what each head looks at on average
  #what = ""; // the table measures it: "text", "reply" or ""

  /** Args: a model, and a function that is called with the step of a part that is chosen. */
  constructor(model, chosen) {
    this.#model = model;
    this.#chosen = chosen;
  }

  /** Forget the parts of another position. */
  clear() {
    this.#found = [];
  }

  /** Show the loss of the text without each part, how much that of other texts grows, and where heads look there. */
  draw(found, means, heads, isOff, what) {
    [this.#heads, this.#what] = [heads, what];
    this.#found = found.map((part, i) => ({ ...part, mean: means[i] }));
    const rows = this.#found.map((part) => {
      const step = stepOf(part.layer, part.head);
      const title = `${titleOfPart(this.#model, part.layer, part.head)}${isOff(step) ? " (off)" : ""}`;
      const choose = button(title, () => this.#chosen(step));
      const mean = part.mean ? signed(changeOfMean(part), 3) : "";
      const name = element("span", {}, choose, element("small", {}, this.habit(part.layer, part.head)));
      return tableRow(null, name, mean, nats(part.bits_without), signed(changeOf(part) * Math.LN2));
    });
    const usual = means.length ? `${means[0].loss.toFixed(3)} nats` : "";
    const whole = tableRow(null, "as it is now", usual, nats(found[0].bits), "");
    byId("parts").tBodies[0].replaceChildren(whole, ...rows);
    byId("parts").parentElement.hidden = !what;
  }

  /** Return a sentence on what a head looks at on average, and how it differs from the others, if it is known. */
  habit(layer, head) {
    const found = this.#heads.find((each) => each.layer === layer && each.head === head);
    if (!found) return "";
    const shares = PLACES.map((place, i) => ({ place, share: found.shares[i] })).sort((a, b) => b.share - a.share);
    const most = shares.slice(0, N_PLACES).map(({ share, place }) => `${place} (${percent(share)})`).join(", ");
    const others = this.#heads.filter((each) => each.layer === layer && each !== found);
    const margins = found.shares.map((share, i) => share - Math.max(...others.map((each) => each.shares[i])));
    const i = margins.indexOf(Math.max(...margins));
    const own = `${[...PLACES, "consonants"][i]} (${percent(found.shares[i])}, others at most ${percent(found.shares[i] - margins[i])})`;
    return `Average: ${most}.${others.length && margins[i] >= LEAST ? ` More than the other heads: ${own}.` : ""}`;
  }

  /**
   * Return sentences on what a part does at the position: which tokens it raises and lowers. Args: whether a
   * token came there.
   */
  effect(layer, head, hasCome) {
    const part = this.#found.find((each) => each.layer === layer && each.head === head);
    if (!part) return "";
    const share = (each) => `${percent(each.without)} without it, ${percent(each.probability)} with it`;
    const told = (changes) =>
      changes
        .filter((each) => Math.abs(each.probability - each.without) >= LEAST)
        .filter((each) => percent(each.probability) !== percent(each.without))
        .filter((each) => !hasCome || each.token !== part.came.token)
        .map((each) => `${quoted(each.text, true)} (${share(each)})`)
        .join(", ");
    const [raised, lowered] = [told(part.raised), told(part.lowered)];
    const change = changeOf(part);
    const mean = part.mean && `In ${N_TEXTS} other texts, each token surprises ${Math.abs(changeOfMean(part)).toFixed(3)} nats ${changeOfMean(part) < 0 ? "less" : "more"} without it.`;
    const more = `${nats(Math.abs(change))} ${change < 0 ? "smaller" : "larger"}`;
    return [
      hasCome && `What came, ${quoted(part.came.text, true)}, has ${share(part.came)}.`,
      raised && `It makes more likely: ${raised}.`,
      lowered && `It makes less likely: ${lowered}.`,
      this.#what && `Without it, the surprise at the whole ${this.#what} is ${Math.abs(change) < 0.05 ? "the same" : more}.`,
      mean,
    ]
      .filter(Boolean)
      .join(" ");
  }
}

/** Return by how much the bits change without a part, as they are shown. */
const changeOf = (part) => Number(part.bits_without.toFixed(2)) - Number(part.bits.toFixed(2));

/** Return by how many nats the mean loss of the other texts grows without a part. */
const changeOfMean = ({ mean }) => mean.without - mean.loss;

/** Return the step of a part in the diagram. */
const stepOf = (layer, head) => `layer${layer}.${{ null: "hidden", all: "heads" }[head] ?? `attention ${head}`}`;

/** Return a sentence on where a head looks from a position: its shares of the tokens so far. */
export function attended(shares, read, at, head) {
  const order = [...shares.keys()].sort((a, b) => shares[b] - shares[a]);
  const [first, second] = order.map((j) => {
    const before = at - j === 1 ? "just before" : `${at - j} before`;
    return `${quoted(read[j])} ${j === at ? "itself" : before} (${percent(shares[j])})`;
  });
  const rest = shares[order[1]] >= 0.1 ? `, ${second}` : "";
  return `Head ${head + 1} looks at ${first}${rest}.`;
}

/** Return a sentence on the hidden units of an MLP that are active. */
export function active(hidden) {
  const n = hidden.filter((each) => each > 0).length;
  const end = n ? "" : ": all sums are negative, so the MLP adds nothing";
  return `${n} of its ${plural(hidden.length, "hidden unit")} ${n === 1 ? "is" : "are"} active here${end}.`;
}

const signed = (nats, digits = 2) => {
  const change = nats.toFixed(digits);
  return Number(change) > 0 ? `+${change}` : change.replace(/-(?=[0.]+$)/, "").replace("-", "−");
};
