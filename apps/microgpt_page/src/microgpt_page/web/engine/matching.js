// Find the known question that a text means, by the words that both have. Equals questions/matching.py.

import { fold } from "./folding.js";

const WORD = /[\p{L}\p{N}_]+(?:['’][\p{L}\p{N}_]+)*/gu;

/** Return the words of a text without case and accents; "e-mail" is one word. */
export const wordsOf = (/** @type {string} */ text) => fold(text).replaceAll("-", "").match(WORD) ?? [];

/** Return the similarity of two words in percent, as `rapidfuzz.fuzz.ratio` does. */
export function ratio(a, b) {
  const [left, right] = [[...a], [...b]];
  let row = new Array(right.length + 1).fill(0); // lengths of the longest common subsequences
  for (const char of left) {
    const next = [0];
    right.forEach((other, j) => next.push(char === other ? row[j] + 1 : Math.max(row[j + 1], next[j])));
    row = next;
  }
  const n = left.length + right.length;
  return n ? (1 - (n - 2 * row.at(-1)) / n) * 100 : 100;
}

export class Matcher {
  #rules; // the words and numbers of matching.py, by their names there
  #weights = new Map(); // by known word
  #places = new Map(); // by known word: questions, and the part of its weight that counts
  #sizes; // by question
  #stems = new Map(); // the known words by stem
  #synonyms = new Map(); // sets of stems
  #unknown;

  /** @param {[string, string][]} pairs questions and answers */
  constructor(pairs, rules) {
    this.#rules = {
      ...rules,
      functionWords: new Set(rules.functionWords),
      commonWords: new Set(rules.commonWords),
    };
    const asked = pairs.map(([question]) => new Set(wordsOf(question)));
    const both = pairs.map(([, answer], i) => new Set([...asked[i], ...wordsOf(answer)]));
    const counts = new Map();
    for (const words of both) {
      const stems = new Set(Array.from(words, (word) => this.#stem(word)));
      for (const stem of stems) counts.set(stem, (counts.get(stem) ?? 0) + 1);
    }
    this.#unknown = Math.log(pairs.length + 1);
    both.forEach((words, i) => {
      for (const word of words) {
        const weight = Math.log((pairs.length + 1) / counts.get(this.#stem(word)));
        this.#weights.set(word, this.#weighted(word, weight));
        add(this.#places, word, [i, asked[i].has(word) ? 1 : rules.answer]);
      }
    });
    const weightOf = (words) => Array.from(words, (word) => this.#weights.get(word));
    this.#sizes = asked.map((words) => weightOf(words).reduce((total, x) => total + x, 0));
    for (const word of this.#weights.keys()) add(this.#stems, this.#stem(word), word);
    for (const words of rules.synonyms) {
      const group = words.map((word) => this.#stem(word));
      for (const stem of group) add(this.#synonyms, stem, ...group);
    }
  }

  /** Return the known questions that have words of a text, the most similar first. */
  rank(/** @type {string} */ text) {
    const [scores, covered] = [new Map(), new Map()];
    let total = 0;
    const cut = Array.from(text).slice(0, this.#rules.maxCharacters).join("");
    for (const word of [...new Set(wordsOf(cut))].slice(0, this.#rules.maxWords)) {
      const found = new Map();
      for (const [known, similarity] of this.#similar(word)) {
        for (const [i, part] of this.#places.get(known)) {
          raise(found, i, part * similarity * this.#weights.get(known));
          if (part !== 1) continue;
          if (!covered.has(i)) covered.set(i, new Map());
          raise(covered.get(i), known, similarity);
        }
      }
      for (const [i, weight] of found) scores.set(i, (scores.get(i) ?? 0) + weight);
      total += found.size ? Math.max(...found.values()) : this.#unknownWeight(word);
    }
    return [...scores]
      .filter(([, score]) => score)
      .map(([i, score]) => this.#match(i, score, total, covered.get(i) ?? new Map()))
      .sort((a, b) => b.score - a.score || a.number - b.number);
  }

  #match(number, score, total, covered) {
    const { coverage: part, evidence } = this.#rules;
    let weight = 0;
    for (const [word, similarity] of covered) weight += this.#weights.get(word) * similarity;
    const size = this.#sizes[number];
    const coverage = size ? weight / size : 0;
    const similarity =
      (score / total) * (1 - part + part * coverage) +
      evidence * coverage * Math.min(score / this.#unknown, 2); // two rare words at most
    return { number, score: score / (Math.sqrt(size) + 1), similarity: Math.min(similarity, 1) };
  }

  /** Return the known words that are similar to a word, with their highest similarity. */
  #similar(word) {
    const { functionWords, commonWords, leastStem, leastEqual, ...rules } = this.#rules;
    const [stem, found] = [this.#stem(word), new Map()];
    const take = (other, similarity) => {
      for (const known of this.#stems.get(other) ?? []) raise(found, known, similarity);
    };
    if (!functionWords.has(word)) {
      if ([...stem].length > leastStem && !commonWords.has(word)) {
        for (const other of this.#stems.keys()) {
          const equal = ratio(stem, other);
          if (equal >= leastEqual) take(other, (rules.misspelled * equal) / 100);
        }
      }
      for (const other of this.#withSameBeginning(stem)) take(other, rules.beginning);
      for (const other of this.#synonyms.get(stem) ?? []) take(other, rules.synonym);
      for (const known of found.keys()) if (functionWords.has(known)) found.delete(known);
    }
    take(stem, rules.form);
    if (this.#weights.has(word)) found.set(word, 1);
    return found;
  }

  /** Return the beginnings of a stem, and the known stems that begin with it. */
  #withSameBeginning(stem) {
    const chars = [...stem];
    const least = this.#rules.leastBeginning;
    if (chars.length < least) return [];
    const beginnings = chars.slice(least).map((_, i) => chars.slice(0, least + i).join(""));
    return [...beginnings, ...[...this.#stems.keys()].filter((other) => other.startsWith(stem))];
  }

  #unknownWeight(word) {
    const { commonWords, common, unknown } = this.#rules;
    const isCommon = commonWords.has(word) || commonWords.has(this.#stem(word));
    return this.#weighted(word, (isCommon ? common : unknown) * this.#unknown);
  }

  #weighted(word, weight) {
    return this.#rules.functionWords.has(word) ? this.#rules.function * weight : weight;
  }

  /** Return a word without a frequent ending. */
  #stem(word) {
    const n = [...word].length;
    const { endings, leastStem } = this.#rules;
    const ending = endings.find((each) => word.endsWith(each) && n - each.length >= leastStem);
    return ending ? word.slice(0, -ending.length) : word;
  }
}

/** Add values to the list of a key. */
const add = (lists, key, ...values) => lists.set(key, [...(lists.get(key) ?? []), ...values]);

/** Set the number of a key to another one, unless it is larger. */
const raise = (numbers, key, number) => numbers.set(key, Math.max(numbers.get(key) ?? 0, number));
