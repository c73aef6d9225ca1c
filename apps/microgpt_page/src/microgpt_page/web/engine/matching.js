// Find the asking that a message means, by words and groups of letters. Equals matching.py.

import { fold } from "./folding.js";

const WORD = /[\p{L}\p{N}_]+(?:['’][\p{L}\p{N}_]+)*/gu;

/** Return the words of a text without case and accents; "e-mail" is one word. */
export const wordsOf = (/** @type {string} */ text) => fold(text).replaceAll("-", "").match(WORD) ?? [];

export class Matcher {
  #askings; // text, number of the topic, number of words that may be any words
  #rules; // the numbers and lists of matching.py, by their names there
  #weights = new Map(); // by known word
  #places = new Map(); // by known word: askings, and the part of its weight that counts
  #withGroup = new Map(); // by group of letters: known words
  #synonyms = new Map();
  #most; // weight of a word that is not known
  #sizes; // by asking

  /** @param {{askings: [string, number, number][], replies: string[], matching: any}} facts */
  constructor({ askings, replies, matching }) {
    this.#askings = askings;
    this.#rules = { ...matching, functionWords: new Set(matching.functionWords) };
    this.#most = Math.log(replies.length + 1);
    const replied = replies.map(wordsOf);
    const asked = askings.map(([text]) => new Set(wordsOf(text)));
    const topics = new Map();
    askings.forEach(([, topic], i) => {
      for (const word of new Set([...asked[i], ...replied[topic]])) {
        add(this.#places, word, [i, asked[i].has(word) ? 1 : matching.reply]);
        add(topics, word, topic);
      }
    });
    for (const [word, some] of topics) {
      const weight = Math.log((replies.length + 1) / new Set(some).size);
      this.#weights.set(word, this.#weighted(word, weight));
      for (const group of this.#groups(word)) add(this.#withGroup, group, word);
    }
    this.#sizes = asked.map((words) => sum(Array.from(words, (word) => this.#weights.get(word))));
    for (const line of matching.synonyms) for (const word of line) add(this.#synonyms, word, ...line);
  }

  /** Return the askings that share words with a text, the most similar first. */
  rank(/** @type {string} */ text) {
    const [found, covered, shared] = [/** @type {any[]} */ ([]), new Map(), new Map()];
    for (const word of this.#read(text)) {
      const weights = new Map();
      for (const [known, similarity] of this.#similar(word)) {
        for (const [i, part] of this.#places.get(known)) {
          raise(weights, i, part * similarity * this.#weights.get(known));
          if (part !== 1) continue;
          if (!covered.has(i)) covered.set(i, new Map());
          raise(covered.get(i), known, similarity);
        }
      }
      for (const [i, weight] of weights) shared.set(i, (shared.get(i) ?? 0) + weight);
      const most = weights.size ? Math.max(...weights.values()) : this.#weighted(word, this.#most);
      found.push({ word, most, weights });
    }
    const total = sum(found.map(({ most }) => most));
    const matches = Array.from(shared, ([asking, weight]) => {
      const nOpen = this.#askings[asking][2];
      const canFill = (word) => !this.#rules.functionWords.has(word) && !covered.get(asking)?.has(word);
      const fillers = nOpen ? found.filter(({ word }) => canFill(word)) : [];
      const gaps = fillers.map(({ most, weights }) => most - (weights.get(asking) ?? 0));
      const filled = gaps.sort((a, b) => a - b).slice(-nOpen || gaps.length);
      const similarity = this.#similarity(asking, weight, total - sum(filled), covered.get(asking) ?? []);
      return { asking, similarity, isFilled: filled.length === nOpen };
    });
    const filled = matches.filter(({ isFilled }) => isFilled).map(({ asking, similarity }) => ({ asking, similarity }));
    return filled.sort((a, b) => b.similarity - a.similarity || a.asking - b.asking);
  }

  /** Return the similarity of an asking, from the weights that it shares and that were read. */
  #similarity(asking, shared, read, covered) {
    const { coverage: part, evidence, open } = this.#rules;
    const weight = sum(Array.from(covered, ([word, similarity]) => this.#weights.get(word) * similarity));
    const size = this.#sizes[asking];
    const coverage = size ? weight / size : 0;
    if (this.#askings[asking][2] && coverage < open) return 0;
    const share = read ? (shared / read) * (1 - part + part * coverage) : 0;
    const bonus = evidence * coverage * Math.min(shared / this.#most, 2); // two rare words at most
    return Math.floor((share + bonus) * 1e9 + 0.5) / 1e9;
  }

  /** Return the different words of a text, with a sign for each unknown number. */
  #read(text) {
    const { mostCharacters, mostWords, number } = this.#rules;
    const words = wordsOf(Array.from(text).slice(0, mostCharacters).join(""));
    const isNumber = (word) => /^\p{Nd}+$/u.test(word) && !this.#weights.has(word);
    return [...new Set(words.map((word) => (isNumber(word) ? number : word)))].slice(0, mostWords);
  }

  /** Return the known words that are similar to a word, with their similarity. */
  #similar(word) {
    const found = this.#forms(word);
    const synonyms = this.#rules.functionWords.has(word) ? [] : (this.#synonyms.get(word) ?? []);
    for (const synonym of synonyms) {
      for (const [known, similarity] of this.#forms(synonym)) {
        raise(found, known, this.#rules.synonym * similarity);
      }
    }
    return found;
  }

  /** Return the known words that have many of a word's groups of letters. */
  #forms(word) {
    const { functionWords, leastEqual } = this.#rules;
    const [found, counts] = [new Map(), new Map()];
    const groups = functionWords.has(word) ? [] : this.#groups(word);
    for (const group of groups) {
      for (const other of this.#withGroup.get(group) ?? []) counts.set(other, (counts.get(other) ?? 0) + 1);
    }
    for (const [other, n] of counts) {
      const equal = (2 * n) / (groups.length + this.#groups(other).length);
      if (equal >= leastEqual && !functionWords.has(other)) found.set(other, equal);
    }
    return this.#weights.has(word) ? found.set(word, 1) : found;
  }

  /** Return the different groups of letters of a word, whose beginning is marked. */
  #groups(word) {
    const marked = ["^", ...word];
    const { group: n } = this.#rules;
    const groups = marked.map((_, i) => marked.slice(i, i + n)).filter(({ length }) => length === n);
    return [...new Set(groups.map((letters) => letters.join("")))];
  }

  #weighted(word, weight) {
    return this.#rules.functionWords.has(word) ? this.#rules.function * weight : weight;
  }
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** Add values to the list of a key. */
const add = (lists, key, ...values) => lists.set(key, [...(lists.get(key) ?? []), ...values]);

/** Set the number of a key to another one, unless it is larger. */
const raise = (numbers, key, number) => numbers.set(key, Math.max(numbers.get(key) ?? 0, number));
