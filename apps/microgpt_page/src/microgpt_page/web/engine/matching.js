// Find the asking that a message means, by words and groups of letters. Equals matching.py.

import { fold } from "./folding.js";

const WORD = /[\p{L}\p{N}_]+(?:['’][\p{L}\p{N}_]+)*/gu;

/** Return the words of a text without case and accents; "e-mail" is one word. */
export const wordsOf = (/** @type {string} */ text) => fold(text).replaceAll("-", "").match(WORD) ?? [];

export class Matcher {
  #askings; // text, number of the topic, number of words that may be any words
  #rules; // the numbers and lists of matching.py, by their names there
  #places = new Map(); // by known word, by asking: the part of its weight that counts
  #weights = new Map(); // by known word
  #withGroup = new Map(); // by group of letters: known words
  #most; // weight of a word that is not known
  #sizes; // by asking

  /** @param {{askings: [string, number, number][], replies: string[], matching: any}} facts */
  constructor({ askings, replies, matching }) {
    this.#askings = askings;
    this.#rules = { ...matching, functionWords: new Set(matching.functionWords) };
    this.#most = Math.log(replies.length + 1);
    const [asked, replied] = [askings.map(([text]) => wordsOf(text)), replies.map(wordsOf)];
    askings.forEach(([, topic], i) => {
      for (const word of replied[topic]) at(this.#places, word).set(i, matching.reply);
      for (const word of asked[i]) at(this.#places, word).set(i, 1);
    });
    for (const word of this.#places.keys()) {
      this.#weights.set(word, this.#weight(word));
      for (const group of this.#groups(word)) at(this.#withGroup, group).set(word, true);
    }
    this.#sizes = asked.map((words) => sum([...new Set(words)].map((word) => this.#weights.get(word))));
  }

  /** Return the askings that a text may mean, and their similarity; the largest first. */
  rank(/** @type {string} */ text) {
    const [shared, covered, most] = [new Map(), new Map(), new Map()];
    for (const word of this.#read(text)) {
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
    const found = [...shared.keys()].sort((a, b) => a - b);
    /** @type {[any, number][]} */
    const ranked = found.map((i) => [this.#askings[i], this.#similarity(i, most, shared.get(i), at(covered, i))]);
    return ranked.filter(([, similarity]) => similarity).sort(([, a], [, b]) => b - a);
  }

  /** Return the similarity of an asking; 0 if required words, or words for its slots, are missing. */
  #similarity(i, most, shared, covered) {
    const { coverage: part, evidence, functionWords, open } = this.#rules;
    const nOpen = this.#askings[i][2];
    const met = sum(Array.from(covered, ([word, similarity]) => this.#weights.get(word) * similarity));
    const coverage = met / (this.#sizes[i] || 1);
    const weight = sum([...shared.values()]);
    let read = sum([...most.values()]);
    if (nOpen) {
      const fillers = [...most.keys()].filter((word) => !functionWords.has(word) && !covered.has(word));
      const gaps = fillers.map((word) => most.get(word) - (shared.get(word) ?? 0));
      if (coverage < open || gaps.length < nOpen) return 0;
      read -= sum(gaps.sort((a, b) => a - b).slice(-nOpen));
    }
    const share = (weight / read) * (1 - part + part * coverage);
    const bonus = evidence * coverage * Math.min(weight / this.#most, 2); // two rare words at most
    return Math.floor((share + bonus) * 1e9 + 0.5) / 1e9;
  }

  /** Return the weight of a word; an unknown word weighs as much as a word of a single topic. */
  #weight(word) {
    const askings = Array.from(this.#places.get(word) ?? [], ([i]) => this.#askings[i]);
    const topics = new Set(askings.map(([, topic]) => topic));
    const weight = this.#most - Math.log(topics.size || 1);
    return this.#rules.functionWords.has(word) ? this.#rules.function * weight : weight;
  }

  /** Return the different words of a text, with a sign for each unknown number. */
  #read(text) {
    const { mostCharacters, mostWords, number } = this.#rules;
    const words = wordsOf(Array.from(text).slice(0, mostCharacters).join(""));
    const isNumber = (word) => /^\p{Nd}+$/u.test(word) && !this.#places.has(word);
    return [...new Set(words.map((word) => (isNumber(word) ? number : word)))].slice(0, mostWords);
  }

  /** Return the known words that resemble a word or a synonym of it, with the similarity. */
  #similar(word) {
    const { functionWords, leastEqual, synonym, synonyms } = this.#rules;
    const lines = functionWords.has(word) ? [] : synonyms.filter((line) => line.includes(word));
    const found = new Map();
    for (const other of [word, ...lines.flat()]) {
      const [groups, counts] = [this.#groups(other), new Map()];
      const part = other === word ? 1 : synonym;
      for (const group of groups) {
        for (const known of this.#withGroup.get(group)?.keys() ?? []) counts.set(known, (counts.get(known) ?? 0) + 1);
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
    const { functionWords, group: n } = this.#rules;
    const marked = functionWords.has(word) ? [] : ["^", ...word];
    const groups = marked.map((_, i) => marked.slice(i, i + n)).filter(({ length }) => length === n);
    return [...new Set(groups.map((letters) => letters.join("")))];
  }
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** Return the map of a key; create it on first use. */
const at = (maps, key) => maps.get(key) ?? maps.set(key, new Map()).get(key);

/** Raise the number of a key to another number, if that is larger. */
const raise = (numbers, key, number) => numbers.set(key, Math.max(numbers.get(key) ?? 0, number));
