// Create elements with text. The text of a model is never parsed as HTML.

/** Return the element of the page with an id. */
export const byId = (id) => document.getElementById(id);

/** Return an element with properties and children. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Return a button that calls a function. Args: its text, the function, and a name instead of the text. */
export function button(text, act, name) {
  const made = element("button", { type: "button", onclick: act }, text);
  return name ? Object.assign(made, { ariaLabel: name, title: name }) : made;
}

/** Return a row of a table. Args: its head, which may be null, and its cells. */
export function tableRow(head, ...cells) {
  const made = element("tr", {}, ...cells.map((each) => element("td", {}, each)));
  if (head !== null) made.prepend(element("th", { scope: "row" }, head));
  return made;
}

/** Show a text in an element of the page, which is hidden if the text is empty. */
export function showText(id, text) {
  byId(id).textContent = text;
  byId(id).hidden = !text;
}

/** Show a problem above the views, or hide it if there is none. */
export function tell(error) {
  if (error?.name !== "AbortError") showText("trouble", error?.message ?? "");
}

/** Return text in a separate element, so that its direction does not affect the text around it. */
export const said = (text, className = "said") => element("bdi", { className }, printable(text));

// Control and format characters, unpaired surrogates, and other characters that cannot be seen.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\u2028\u2029]/gu;

/** Return text whose hidden characters are escaped, except for line ends, tabs and emoji joiners. */
export const printable = (text) =>
  text.replace(HIDDEN, (char) => ("\n\t\u200d".includes(char) ? char : escaped(char)));

const escaped = (char) => `\\u${char.codePointAt(0).toString(16).padStart(4, "0")}`;

const SPECIAL = /^<\|(\w+)\|>$/;
const ROLES = new Map([
  ["bos", "start"],
  ["user", "user:"],
  ["assistant", "assistant:"],
  ["end_turn", "end of turn"],
]);

/** Return whether a token is special: text cannot contain it. */
export const isSpecial = (label) => SPECIAL.test(label);

/** Return the text that shows a token; the token "bos" both starts and ends a text. */
export function shown(label, isEnd = false) {
  const [, name] = SPECIAL.exec(label) ?? [];
  if (name) return name === "bos" && isEnd ? "end" : (ROLES.get(name) ?? name);
  return printable(label).replaceAll(" ", "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥") || "∅";
}

const SIGNS = { "<|bos|>": "▸", "<|user|>": "u:", "<|assistant|>": "a:", "<|end_turn|>": "◂" };

/** Return one or two characters that stand for a token on a map. */
export const sign = (label) => SIGNS[label] ?? (isSpecial(label) ? "▸" : shown(label));

/** Return a token in quotation marks, or the description of a special token, for a sentence. */
export const quoted = (label, isEnd = false) =>
  isSpecial(label) ? `the ${shown(label, isEnd).replace(":", "")} token` : `“${shown(label)}”`;

/** Return the characters of a text that are not in the vocabulary; subwords can spell every text. */
export const missing = (text, { characters }) =>
  characters && [...new Set(text)].filter((char) => !characters.includes(char)).join("");

/** Return a text as a model can read it: in lower case if that helps, and without unknown characters. */
export function known(text, model) {
  if (model.fold || !missing(text, model)) return text; // only the engine knows what it folds
  const isKnown = (char) => model.characters.includes(char);
  return Array.from(text, (char) => [char, char.toLowerCase()].find(isKnown) ?? "").join("") || text;
}

/** Return a sentence on the text that a model reads instead of a given text, or "" if they are equal. */
export function instead(text, model) {
  const read = known(text, model);
  const lacking = () => Array.from(missing(text, model), (char) => quoted(char)).join(", ");
  return read === text ? "" : `The model does not know ${lacking()}: it reads “${printable(read)}” instead.`;
}

/** Return a sentence on a text without any character of the model's vocabulary, or "" for other texts. */
export function unknown(text, model) {
  if (model.fold || !missing(text, model)) return "";
  return `The model does not know “${shown(missing(text, model))}”. It knows these characters: ${shown(model.characters)}`;
}

/** Return sentences on the parts of a conversation that the model has not read, or "". */
export function unread({ tokens_dropped: dropped, unknown_characters: chars }) {
  const notes = [];
  if (dropped) {
    notes.push(`The conversation is longer than the context: the model has not read its first
      ${dropped} tokens.`);
  }
  if (chars) notes.push(`The model does not know these characters: ${shown(chars)}`);
  return notes.join(" ");
}

/** Return a number with commas between thousands. */
export const grouped = (n) => n.toLocaleString("en", { maximumFractionDigits: 4 });

/** Return a number with a noun in the singular or the plural. */
export const plural = (n, noun) => `${grouped(n)} ${noun}${n === 1 ? "" : "s"}`;

/** Return a duration in words. */
export function duration(seconds) {
  if (seconds < 1) return "less than a second";
  if (seconds < 90) return `about ${plural(Math.round(seconds), "second")}`;
  if (seconds < 5400) return `about ${plural(Math.round(seconds / 60), "minute")}`;
  return `about ${plural(Math.round(seconds / 3600), "hour")}`;
}

/** Return a probability as a percentage. */
export function percent(share) {
  if (share > 0 && share < 0.0005) return "< 0.1 %";
  return `${(100 * share).toFixed(share >= 0.0995 || share === 0 ? 0 : 1)} %`;
}

/** Return a loss, which is given in bits, as text with nats and bits. */
export const nats = (bits) => `${(bits * Math.LN2).toFixed(2)} nats (${bits.toFixed(2)} bits)`;

/** Return a message with a capital letter and a full stop. */
export const sentence = (text) =>
  text.charAt(0).toUpperCase() + text.slice(1).replace(/[^.?!]$/, "$&.");

/** Return messages with these contents; the first is from the user, the second from the assistant, and so on. */
export const conversation = (contents) =>
  contents.map((content, i) => ({ role: i % 2 ? "assistant" : "user", content }));
