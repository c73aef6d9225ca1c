// Find the asking that a message means, by words and groups of letters. Equals matching.py.

import { fold } from "./folding.js";

const SLOT = /\{(\d)\}/g;
const DIGITS = /^\p{Nd}+$/u;

/** Return the words of a text without case and accents; "e-mail" is one, "I'm" two words. */
export const wordsOf = (/** @type {string} */ text) => fold(text).replaceAll("-", "").match(/[\p{L}\p{N}_]+/gu) ?? [];

export class Matcher {
  #facts; // askings (text, number of the topic, what the model reads), replies, rules of matching.py
  #places = new Map(); // by known word, by asking: the part of its weight that counts
  #weights = new Map(); // by known word
  #withGroup = new Map(); // by group of letters: known words
  #fixed; // words that fill no slot, such as those of topics
  #most; // weight of a word that is not known
  #sizes; // by asking

  /** @param {{askings: [string, number, string][], replies: string[], matching: any}} facts */
  constructor(facts) {
    this.#facts = facts;
    const { askings, replies, matching } = facts;
    this.#most = Math.log(replies.length + 1);
    const [asked, about] = [askings.map(([text]) => wordsOf(text)), replies.map((text) => [...wordsOf(text)])];
    askings.forEach(([, topic], i) => {
      if (replies[topic]) about[topic].push(...asked[i]);
    });
    askings.forEach(([, topic], i) => {
      for (const word of about[topic]) at(this.#places, word).set(i, matching.topic);
      for (const word of asked[i]) at(this.#places, word).set(i, 1);
    });
    const known = askings.flatMap(([, topic], i) => (replies[topic] ? asked[i] : []));
    this.#fixed = new Set([matching.number, ...matching.functionWords, ...known]);
    for (const word of this.#places.keys()) {
      this.#weights.set(word, this.#weight(word));
      for (const group of this.#groups(word)) at(this.#withGroup, group).set(word, true);
    }
    this.#sizes = asked.map((words) => sum([...new Set(words)].map((word) => this.#weights.get(word))));
  }

  /** Return the askings that a text may mean, their similarity, and what the model reads. */
  rank(/** @type {string} */ text) {
    const { mostCharacters, mostWords, number } = this.#facts.matching;
    const [shared, covered, most] = [new Map(), new Map(), new Map()];
    const words = wordsOf([...text].slice(0, mostCharacters).join(""));
    const isNumber = (word) => DIGITS.test(word) && (word === number || !this.#places.has(word));
    const read = new Set(words.map((word) => (isNumber(word) ? number : word)));
    for (const word of [...read].slice(0, mostWords)) {
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
    return [...shared.keys()].sort((a, b) => a - b).flatMap((i) => this.#match(i, free, most, shared.get(i), at(covered, i)) ?? []);
  }

  /** Return the match of an asking; null if required words, or words for its slots, are missing. */
  #match(i, free, most, shared, covered) {
    const { coverage: raised, foreign, number, open } = this.#facts.matching;
    const [text, topic, reads] = this.#facts.askings[i];
    const nSlots = new Set(reads.match(SLOT)).size;
    const weighed = Array.from(covered, ([word, similarity]) => this.#weights.get(word) * similarity);
    const coverage = sum(weighed) / (this.#sizes[i] || 1);
    const weight = sum(shared.values());
    let total = sum(most.values());
    /** @type {string[]} */
    let values = [];
    if (nSlots) {
      const nOpen = nSlots - wordsOf(text).filter((word) => word === number).length;
      const gap = (word) => most.get(word) - (shared.get(word) ?? 0);
      const gaps = new Set(free.filter((word) => most.has(word) && !DIGITS.test(word)));
      const fillers = [...gaps].sort((a, b) => gap(a) - gap(b)).slice(gaps.size - nOpen);
      values = free.filter((word) => fillers.includes(word) || DIGITS.test(word));
      if (values.length !== nSlots || (nOpen && coverage < open)) return null;
      total -= sum(fillers.map(gap));
    }
    const part = this.#facts.replies[topic] ? raised : foreign;
    const share = (weight / total) * (1 - part + part * coverage);
    const bonus = raised * coverage * Math.min(weight / this.#most, 2); // two rare words at most
    const similarity = Math.floor((share + bonus) * 1e9 + 0.5) / 1e9;
    const read = reads.replace(SLOT, (_, slot) => values[slot]) || text;
    return { asking: this.#facts.askings[i], similarity, read };
  }

  /** Return the weight of a word; an unknown word weighs as much as a word of a single topic. */
  #weight(word) {
    const topics = new Set(Array.from(this.#places.get(word) ?? [], ([i]) => this.#facts.askings[i][1]));
    const weight = this.#most - Math.log(topics.size || 1);
    return this.#facts.matching.functionWords.includes(word) ? this.#facts.matching.function * weight : weight;
  }

  /** Return the known words that resemble a word or a synonym of it, with the similarity. */
  #similar(word) {
    const { functionWords, leastEqual, synonym, synonyms } = this.#facts.matching;
    const lines = functionWords.includes(word) ? [] : synonyms.filter((line) => line.includes(word));
    const found = new Map();
    for (const other of [word, ...lines.flat()]) {
      const [groups, counts] = [this.#groups(other), new Map()];
      const part = other === word ? 1 : synonym;
      for (const group of groups) {
        for (const known of at(this.#withGroup, group).keys()) counts.set(known, (counts.get(known) ?? 0) + 1);
      }
      for (const [known, n] of counts) {
        const equal = (2 * n) / (groups.length + this.#groups(known).length);
        if (equal >= leastEqual) raise(found, known, part * equal);
      }
      if (this.#places.has(other)) raise(found, other, part);
    }
    return found;
  }

  /** Return the different groups of letters of a word, whose beginning is marked. */
  #groups(word) {
    const { functionWords, group: n } = this.#facts.matching;
    const marked = functionWords.includes(word) ? [] : ["^", ...word];
    return [...new Set(marked.slice(n - 1).map((_, i) => marked.slice(i, i + n).join("")))];
  }
}

const sum = (numbers) => [...numbers].reduce((total, number) => total + number, 0);

/** Return the map of a key; create it on first use. */
const at = (maps, key) => maps.get(key) ?? maps.set(key, new Map()).get(key);

/** Raise the number of a key to another number, if that is larger. */
const raise = (numbers, key, number) => numbers.set(key, Math.max(numbers.get(key) ?? 0, number));
