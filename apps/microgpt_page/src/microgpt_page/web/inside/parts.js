// What each head and each MLP is for: sentences on what it does, and the text without it.

import { button, byId, percent, plural, quoted, tableRow } from "../text.js";

const LEAST = 0.01; // change of a probability that is told

export class Parts {
  #chosen;
  #found = [];

  /** Args: a function that is called with the step of a part that is chosen. */
  constructor(chosen) {
    this.#chosen = chosen;
  }

  /** Forget the parts of another position. */
  clear() {
    this.#found = [];
  }

  /** Show the bits of the text without each part, and with all. */
  draw(found, isOff) {
    this.#found = found.sort((a, b) => b.bits_without - a.bits_without);
    const rows = found.map((part) => {
      const step = stepOf(part.layer, part.head);
      const title = isOff(step) ? `${titleOf(part)} (off)` : titleOf(part);
      const choose = button(title, () => this.#chosen(step));
      return tableRow(null, choose, part.bits_without.toFixed(1), signed(changeOf(part)));
    });
    const whole = tableRow(null, "nothing", found[0].bits.toFixed(1), "");
    byId("parts").tBodies[0].replaceChildren(whole, ...rows);
    byId("most").textContent =
      changeOf(found[0]) > 0 ? `Needed most: ${titleOf(found[0])}.` : "None of them is needed.";
  }

  /**
   * Return sentences on what a part does at the position: which tokens it raises and lowers.
   * Args: whether a token came there, and what the bits are of: "text" or "reply".
   */
  effect(layer, head, hasCome, what) {
    const part = this.#found.find((each) => each.layer === layer && each.head === head);
    if (!part) return "";
    const shares = (each) => `${percent(each.without)} without it, ${percent(each.probability)} with it`;
    const told = (changes) =>
      changes
        .filter((each) => Math.abs(each.probability - each.without) >= LEAST)
        .filter((each) => !hasCome || each.token !== part.came.token)
        .map((each) => `${quoted(each.text, true)} (${shares(each)})`)
        .join(", ");
    const [raised, lowered] = [told(part.raised), told(part.lowered)];
    const change = changeOf(part);
    const more = `${Math.abs(change).toFixed(1)} bits ${change < 0 ? "less" : "more"}`;
    return [
      hasCome && `What came, ${quoted(part.came.text, true)}, has ${shares(part.came)}.`,
      raised && `It makes more likely: ${raised}.`,
      lowered && `It makes less likely: ${lowered}.`,
      !raised && !lowered && "It changes no other probability by 1 percentage point or more.",
      `Without it, the whole ${what} takes ${Math.abs(change) < 0.05 ? "as many bits" : more}.`,
    ]
      .filter(Boolean)
      .join(" ");
  }
}

/** Return by how much the bits change without a part, as they are shown. */
const changeOf = (part) => Number(part.bits_without.toFixed(1)) - Number(part.bits.toFixed(1));

const titleOf = ({ layer, head }) =>
  head === null ? `MLP of layer ${layer}` : `head ${head} of layer ${layer}`;

/** Return the step of a part in the diagram. */
const stepOf = (layer, head) => `layer${layer}.${head === null ? "hidden" : `attention ${head}`}`;

/** Return a sentence on where a head looks from a position: its shares of the tokens so far. */
export function attended(shares, read, at, head) {
  const order = [...shares.keys()].sort((a, b) => shares[b] - shares[a]);
  const [first, second] = order.map((j) => {
    const before = at - j === 1 ? "the token before" : `${at - j} tokens before`;
    return `${j === at ? "this token itself" : `${quoted(read[j])}, ${before}`} (${percent(shares[j])})`;
  });
  const most =
    shares[order[0]] >= 0.5 ? `looks mostly at ${first}` : `spreads its attention; most is on ${first}`;
  const rest = shares[order[1]] >= 0.1 ? `, then at ${second}` : "";
  return `Head ${head} ${most}${rest}.`;
}

/** Return a sentence on the hidden units of an MLP that are active. */
export function active(hidden) {
  const n = hidden.filter((each) => each > 0).length;
  if (n) return `${n} of its ${plural(hidden.length, "hidden unit")} ${n === 1 ? "is" : "are"} active here.`;
  return (
    `None of its ${plural(hidden.length, "hidden unit")} is active here: for each, the sum of inputs times ` +
    "weights is negative, and becomes 0. So the MLP adds nothing."
  );
}

const signed = (number) =>
  `${number < -0.05 ? "−" : number >= 0.05 ? "+" : ""}${Math.abs(number).toFixed(1)}`;
