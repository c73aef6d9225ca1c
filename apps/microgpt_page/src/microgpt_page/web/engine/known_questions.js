// The questions that a chat model has learned as a whole. Equals questions/known_questions.py.

import { Matcher } from "./matching.js";

export class KnownQuestions {
  #facts;
  #talks;
  #matcher;

  /** @param {any} facts conversations, the reply to other questions, and the rules of both */
  constructor(facts) {
    this.#facts = facts;
    this.#talks = facts.conversations.map((contents) =>
      contents.map((content, i) => ({ role: i % 2 ? "assistant" : "user", content })),
    );
    const pairs = this.#talks.map((talk) => talk.slice(-2).map(({ content }) => content));
    this.#matcher = new Matcher(pairs, facts.matching);
  }

  /**
   * Return the known conversation up to the question that is meant, or else the reply.
   * @param {import("./tokenizer.js").Message[]} messages
   * @returns {import("./tokenizer.js").Message[] | string}
   */
  find(messages) {
    const [said, text] = [messages.at(-2)?.content, messages[messages.length - 1].content];
    const matches = this.#ranked(text).filter(({ number }) => this.#fits(number, said));
    const questionOf = ({ number }) => this.#talks[number].at(-2).content;
    const answers = matches
      .filter(({ score }) => score === matches[0].score)
      .map(({ number }) => this.#talks[number].at(-1).content);
    const isSame = matches.length > 0 && questionOf(matches[0]) === text;
    const isClear = isSame || new Set(answers).size === 1;
    const { confidence, reply, suggests, nSuggested, leastSimilar } = this.#facts;
    if (isClear && matches[0].similarity >= confidence) {
      return this.#talks[matches[0].number].slice(0, -1);
    }
    const near = matches.filter(({ similarity }) => similarity >= leastSimilar);
    const similar = [...new Set(near.map(questionOf))];
    if (!suggests || !similar.length) return reply;
    return `${reply} (${similar.slice(0, nSuggested).join(" ")})`;
  }

  /** Return the matches of a text; that of the same text is the first. */
  #ranked(text) {
    const same = this.#talks.flatMap((talk, number) =>
      talk.at(-2).content === text ? [{ number, score: 1, similarity: 1 }] : [],
    );
    return [...same, ...this.#matcher.rank(text)];
  }

  /** Return whether a question may follow what was said before. */
  #fits(number, said) {
    const before = this.#talks[number].at(-3);
    return !before || before.content === said;
  }
}
