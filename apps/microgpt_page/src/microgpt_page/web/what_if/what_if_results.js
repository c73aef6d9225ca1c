// Show the effect of a change of the documents in sentences and tables.

import { byId, element, grouped, nats, plural, printable, shown, tableRow } from "../text.js";

const MAX_SHOWN = 60; // maximum number of characters of a document
// Names for the models before and after a change and for its documents, by the kind of change.
const NAMES = {
  without: ["with all documents", "without these", "left out"],
  with: ["without these", "with these", "added"],
};

const rounded = (bits) => (bits * Math.LN2).toFixed(2); // in nats
const more = (change) => `${nats(Math.abs(change))} ${change < 0 ? "fewer" : "more"}`;
const signed = (number) => `${Number(rounded(number)) < 0 ? "−" : "+"}${rounded(Math.abs(number))}`;

/** Show the results of two models, and the spread over other seeds. */
export function showComparison({ tokens, text, documents, nDocuments, nRead, nSteps, nSeeds }, { wish, text: asked }, noun) {
  const [before, after, what] = NAMES[wish.kind];
  const one = nDocuments === 1;
  const they = one ? "The document itself takes" : "These documents themselves take on average";
  const told = (subject, figure) =>
    `${subject} ${nats(figure.before)} ${before}, ${nats(figure.after)} ${after}: ` +
    `${more(figure.change)}. ${judged(figure, nSeeds)}`;
  byId("compared").hidden = false;
  const some = nRead === nDocuments ? (one ? "it" : "all of them") : `${nRead ? grouped(nRead) : "none"} of them`;
  const steps = `In its ${plural(nSteps, "step")} the model`;
  const reads = wish.kind === "without" ? `would have read ${some}; now it reads none` : `reads ${some}`;
  const none = nRead ? "" : " So nothing changes; use more steps.";
  const begin = `begin${one ? "s" : ""} with ${printable(wish.start)}`;
  const which = wish.kind === "without" ? begin : `${one ? "was" : "were"} ${what}`;
  byId("compared-what").textContent = `${grouped(nDocuments)} ${one ? noun.slice(0, -1) : noun} ${which}. ${steps} ${reads}.${none}`;
  byId("compared-text").textContent = text && nRead ? told(`${inQuotes(asked)} takes`, text) : "";
  byId("compared-documents").textContent = nRead ? told(they, documents) : "";
  byId("compared-tokens").hidden = !text || !nRead;
  if (text) showTokens(tokens, text, [before, after]);
}

/** Return a sentence that compares a change with the spread over other seeds. */
function judged({ change, spread }, nSeeds) {
  if (spread === null) return "Without other seeds, it is not known whether this is chance.";
  const times = (Math.abs(change) / spread).toFixed(1);
  return (
    `By chance alone, this seed and ${plural(nSeeds, "other")} have a standard deviation of ${nats(spread)}; ` +
    `this is ${times} times as much. Below 3 times it may be chance.`
  );
}

function showTokens(tokens, total, names) {
  const most = Math.max(...tokens.flatMap(({ before, after }) => [before, after]));
  const rows = tokens.map(({ text, before, after }) => {
    const bars = [before, after].map((bits, i) => {
      const bar = element("i", { className: i ? "after" : "before" });
      bar.style.setProperty("--p", bits / most);
      return bar;
    });
    const token = element("span", { className: "token" }, shown(text, true));
    return row(token, element("div", { className: "pair" }, ...bars), before, after);
  });
  const table = byId("compared-tokens");
  names.forEach((name, i) => (table.tHead.rows[0].cells[2 + i].textContent = name));
  table.tBodies[0].replaceChildren(...rows, row("Total", "", total.before, total.after));
}

function row(name, bars, before, after) {
  return tableRow(name, bars, rounded(before), rounded(after), signed(after - before));
}

/** Return a document in quotation marks; a long document is shortened. */
function inQuotes(text) {
  const characters = [...text];
  const isLong = characters.length > MAX_SHOWN;
  return `“${printable(characters.slice(0, MAX_SHOWN).join(""))}${isLong ? "…" : ""}”`;
}
