// Show the purpose of each head and MLP: its effect at a position and on average, and the text without it.

import { titleOfPart } from "./switches.js";
import { button, byId, element, isSpecial, nats, percent, plural, quoted, shown, tableRow } from "../text.js";

const LEAST = 0.01; // smallest change of a probability to mention
const PLACES = ["itself", "one before", "two before", "further back", "the start"];
const [N_PLACES, N_TOKENS, N_GUESSES] = [2, 3, 2]; // named in a sentence, at most
const MOST_TOKENS = 16; // tokens in the list of where a head looks, at most

export class Parts {
  #model;
  #toggled;
  #found = [];
  #heads = []; // what each head looks at on average
  #isWithout; // whether a part is off

  /** Args: a model, and a function that is called with the layer and the head of a part to switch. */
  constructor(model, toggled) {
    this.#model = model;
    this.#toggled = toggled;
  }

  /** Forget the parts of another position. */
  clear() {
    this.#found = [];
  }

  /** Show the loss of the text without each part, the increase on other texts, and the attention of heads there. */
  draw(found, means, heads, isWithout, isAny) {
    [this.#heads, this.#isWithout] = [heads, isWithout];
    this.#found = found.map((part, i) => ({ ...part, mean: means[i] }));
    const rows = this.#found.map((part) => {
      const { layer, head } = part;
      const choose = button(titleOfPart(this.#model, layer, head), () => this.#toggled(layer, head));
      Object.assign(choose, { value: `${layer} ${head}`, ariaPressed: String(isWithout(layer, head)) });
      const mean = part.mean ? signed(part.mean.without - part.mean.loss, 3) : "";
      const name = element("span", {}, choose, element("small", {}, this.habit(layer, head)));
      return tableRow(null, name, mean, nats(part.bits_without), signed(changeOf(part) * Math.LN2));
    });
    const usual = means.length ? `${means[0].loss.toFixed(3)} nats` : "";
    const [table, { value }] = [byId("parts").tBodies[0], document.activeElement];
    const isFocused = table.contains(document.activeElement);
    table.replaceChildren(tableRow(null, "as it is now", usual, nats(found[0].bits), ""), ...rows);
    if (isFocused) table.querySelector(`[value="${value}"]`).focus();
    byId("parts").parentElement.hidden = !isAny;
  }

  /** Show the heads of a layer side by side. Args: the attention weights of each on the tokens that it reads. */
  drawHeads(layer, attention, read, hasCome) {
    const rows = [...attention.keys(), "all"].map((head) => {
      const isAll = head === "all";
      const [name, line] = isAll ? ["all heads", ""] : [`head ${head + 1}`, lineOf(attention[head], read)];
      const habit = isAll ? [] : this.#cellsOf(layer, head);
      const row = tableRow(name, line, ...habit, this.guess(layer, head, hasCome));
      const note = isAll ? "Above all: letters at which it looks more than their place explains." : "";
      if (!habit.length) Object.assign(row.insertCell(2), { colSpan: PLACES.length + 1, textContent: note });
      row.classList.toggle("off", Boolean(this.#isWithout?.(layer, head)));
      return row;
    });
    byId("heads").tBodies[0].replaceChildren(...rows);
  }

  #partOf(layer, head) {
    return this.#found.find((each) => each.layer === layer && each.head === head);
  }

  #habitOf(layer, head) {
    return this.#heads.find((each) => each.layer === layer && each.head === head);
  }

  /** Return the average attention of a head, if it is known. */
  habit(layer, head) {
    const found = this.#habitOf(layer, head);
    if (!found) return "";
    const shares = PLACES.map((place, i) => ({ place, share: found.shares[i] })).sort((a, b) => b.share - a.share);
    const most = shares.slice(0, N_PLACES).map(({ share, place }) => `${place} ${percent(share)}`).join(", ");
    const favourites = favouritesOf(found);
    return most + (favourites && `; above all at ${favourites}`);
  }

  /** Return the average attention of a head as cells of a table. At each distance, the largest of all heads is bold. */
  #cellsOf(layer, head) {
    const found = this.#habitOf(layer, head);
    if (!found) return [];
    const others = this.#heads.filter((each) => each.layer === layer);
    const cells = found.shares.map((share, i) => {
      const isMost = others.every((each) => each.shares[i] <= share);
      return element(isMost ? "b" : "span", { title: PLACES[i] }, percent(share));
    });
    return [...cells, favouritesOf(found)];
  }

  /** Return the prediction without a part: for the actual token, if it is known, and for others. */
  guess(layer, head, hasCome) {
    const part = this.#partOf(layer, head);
    if (!part) return "";
    const { came, raised, lowered } = part;
    const size = (each) => Math.abs(each.probability - each.without);
    const others = [...raised, ...lowered].filter((each) => size(each) >= LEAST && !(hasCome && each.token === came.token));
    const told = [...(hasCome ? [came] : []), ...others.sort((a, b) => size(b) - size(a))].slice(0, N_GUESSES);
    const list = told.map((each) => `${shown(each.text, true)} ${percent(each.probability)} → ${percent(each.without)}`);
    return list.join(", ") || "hardly a change";
  }
}

const favouritesOf = ({ preferred }) => preferred.slice(0, N_TOKENS).map((label) => shown(label)).join(", ");

/** Return the tokens with the largest attention weights of a head, in order, shaded by weight. */
function lineOf(weights, read) {
  const order = [...weights.keys()].sort((a, b) => weights[b] - weights[a]).slice(0, MOST_TOKENS);
  const tokens = order.sort((a, b) => a - b).map((j) => {
    const token = element("span", { className: "token" }, shown(read[j]), element("small", {}, percent(weights[j])));
    token.classList.toggle("special", isSpecial(read[j]));
    token.style.setProperty("--share", weights[j]);
    return token;
  });
  return element("div", {}, ...tokens);
}

/** Return the change of the bits without a part, as text. */
const changeOf = (part) => Number(part.bits_without.toFixed(2)) - Number(part.bits.toFixed(2));

/** Return a sentence on where a head looks from a position, from its attention weights on the tokens so far. */
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
