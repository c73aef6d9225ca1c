// Find the asking that a message means, by words and groups of letters. JavaScript version of matching.py.

import { fold } from "./folding.js";

const SLOT = /\{(\d)\}/g;
const RANGE = /([0-9]+)\.\.([0-9]+)/g;
const DIGITS = /^\p{Nd}+$/u;

/** Return the words of a text without case and accents; "e-mail" is one, "I'm" two words. */
export const wordsOf = (/** @type {string} */ text) => fold(text).replaceAll("-", "").match(/[\p{L}\p{N}_]+/gu) ?? [];

export class Matcher {
  #askings; // text, index of the topic, what the model reads, what each slot allows
  #rules; // the numbers and lists of matching.py, by their names there
  #places = new Map(); // by known word and asking: the fraction of its weight that counts
  #weights = new Map(); // weights by word
  #withGroup = new Map(); // words by group of letters
  #fixed; // words that fill no slot, such as those of topics
  #most; // weight of an unknown word
  #sizes; // weight of the words of each asking

  /** @param {{askings: [string, number, string, string[]][], replies: string[], matching: any}} facts */
  constructor({ askings, replies, matching }) {
    this.#askings = askings;
    this.#rules = matching;
    this.#most = Math.log(replies.length + 1);
    const [asked, about] = [askings.map(([text]) => wordsOf(text)), replies.map(wordsOf)];
    askings.forEach(([, topic], i) => {
      if (replies[topic]) about[topic].push(...asked[i]);
    });
    askings.forEach(([, topic], i) => {
      for (const word of about[topic]) at(this.#places, word).set(i, matching.topic);
      for (const word of asked[i]) at(this.#places, word).set(i, 1);
    });
    const known = asked.filter((_, i) => replies[askings[i][1]]);
    this.#fixed = new Set([matching.number, ...matching.functionWords, ...known.flat()]);
    for (const word of this.#places.keys()) {
      this.#weights.set(word, this.#weight(word));
      for (const group of this.#groups(word)) at(this.#withGroup, group).set(word, true);
    }
    this.#sizes = asked.map((words) => sum([...new Set(words)].map((word) => this.#weights.get(word))));
  }

  /** Return the askings that a text may mean, each with its similarity and the text that the model reads. */
  rank(/** @type {string} */ text) {
    const { mostCharacters, number } = this.#rules;
    const [shared, covered, most] = [new Map(), new Map(), new Map()];
    const words = wordsOf([...text].slice(0, mostCharacters).join(""));
    const isNumber = (word) => DIGITS.test(word) && (word === number || !this.#places.has(word));
    for (const word of new Set(words.map((word) => (isNumber(word) ? number : word)))) {
      for (const [known, similarity] of this.#similar(word)) {
        for (const [i, part] of this.#places.get(known)) {
          const weight = part * similarity * this.#weights.get(known);
          raise(at(shared, i), word, weight);
          raise(most, word, weight);
          if (part === 1) raise(at(covered, i), known, similarity);
        }
      }
      if (!most.has(word)) most.set(word, this.#weight(word));
    }
    const free = words.filter((word) => isNumber(word) || !this.#fixed.has(word));
    const places = [...shared.keys()].sort((a, b) => a - b);
    return places.flatMap((i) => this.#match(i, free, most, shared.get(i), at(covered, i)));
  }

  /** Return the match of an asking; [] if required words, or words for its slots, are missing. */
  #match(i, free, most, shared, covered) {
    const { coverage: part, number, open, ending } = this.#rules;
    const [text, , reads, allowed] = this.#askings[i];
    const nSlots = new Set(reads.match(SLOT)).size;
    const coverage = sum(Array.from(covered, ([word, part]) => part * this.#weights.get(word))) / (this.#sizes[i] || 1);
    const weight = sum(shared.values());
    let total = sum(most.values());
    const values = [];
    if (nSlots) {
      const nOpen = nSlots - wordsOf(text).filter((word) => word === number).length;
      const gap = (word) => most.get(word) - (shared.get(word) ?? 0);
      const gaps = new Set(free.filter((word) => most.has(word) && !DIGITS.test(word)));
      const fillers = [...gaps].sort((a, b) => gap(a) - gap(b)).slice(gaps.size - nOpen);
      const said = free.filter((word) => fillers.includes(word) || DIGITS.test(word));
      if (said.length !== nSlots || (nOpen && coverage < open)) return [];
      values.push(...said.map((word, slot) => valueOf(word, filled(allowed[slot] ?? "", said), ending)));
      if (values.includes("")) return [];
      total -= sum(fillers.map(gap));
    }
    const share = (weight / total) * (1 - part + part * coverage);
    const bonus = part * coverage * Math.min(weight / this.#most, 2); // at most the weight of two rare words
    const similarity = Math.floor((share + bonus) * 1e9 + 0.5) / 1e9;
    return { asking: this.#askings[i], similarity, read: filled(reads, values) || text };
  }

  /** Return the weight of a word; an unknown word weighs as much as a word of a single topic. */
  #weight(word) {
    const topics = new Set(Array.from(this.#places.get(word) ?? [], ([i]) => this.#askings[i][1]));
    const { functionWords, function: factor } = this.#rules;
    return (this.#most - Math.log(topics.size || 1)) * (functionWords.includes(word) ? factor : 1);
  }

  /** Return the known words that resemble a word or a synonym of it, with the similarity. */
  #similar(word) {
    const { functionWords, leastEqual, synonym, synonyms } = this.#rules;
    const lines = functionWords.includes(word) ? [] : synonyms.filter((line) => line.includes(word));
    const found = new Map();
    for (const other of [word, ...lines.flat()]) {
      const [groups, counts, part] = [this.#groups(other), new Map(), other === word ? 1 : synonym];
      for (const known of groups.flatMap((group) => [...at(this.#withGroup, group).keys()])) {
        counts.set(known, (counts.get(known) ?? 0) + 1);
      }
      for (const [known, n] of counts) {
        const equal = (2 * n) / (groups.length + this.#groups(known).length);
        if (equal >= leastEqual) raise(found, known, part * equal);
      }
      if (this.#places.has(other)) raise(found, other, part);
    }
    return found;
  }

  /** Return the distinct groups of letters of a word; the beginning of the word is marked. */
  #groups(word) {
    const { functionWords, group: n } = this.#rules;
    const marked = functionWords.includes(word) ? [] : ["^", ...word];
    return [...new Set(marked.slice(n - 1).map((_, i) => marked.slice(i, i + n).join("")))];
  }
}

/** Return a text in which words replace the slots {0}, {1}, … */
const filled = (text, words) => text.replace(SLOT, (_, slot) => words[slot]);

/** Return the one of the allowed words and numbers that a word means, or "". */
function valueOf(word, allowed, ending) {
  const words = allowed.split(" ");
  if (!allowed || words.includes(word)) return word;
  const isIn = ([, low, high]) => +low <= word && word <= +high;
  if (DIGITS.test(word)) return [...allowed.matchAll(RANGE)].some(isIn) ? word : "";
  return words.find((each) => word.startsWith(each) && word.length - each.length <= ending) ?? "";
}

const sum = (numbers) => [...numbers].reduce((total, number) => total + number, 0);

/** Return the map of a key; create it on first use. */
const at = (maps, key) => maps.get(key) ?? maps.set(key, new Map()).get(key);

/** Set the number of a key to the larger of itself and another number. */
const raise = (numbers, key, number) => numbers.set(key, Math.max(numbers.get(key) ?? 0, number));
