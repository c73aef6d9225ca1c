// What a model of a character or a table knows, and what it reads. Equals hook.py.

import { plain } from "./folding.js";
import { Matcher } from "./matching.js";

export class Knowledge {
  #facts;
  #matcher;

  /** @param {any} facts askings, replies to other messages, and the rules of both */
  constructor(facts) {
    this.#facts = facts;
    this.#matcher = new Matcher(facts);
  }

  /**
   * Return what the model reads, or else the reply to a message that is not known.
   * @param {import("./tokenizer.js").Message[]} messages
   * @returns {import("./tokenizer.js").Message[] | string}
   */
  choose(messages) {
    const { matching, needs, threshold, unknown } = this.#facts;
    const folded = (message) => ({ ...message, content: plain(message.content) });
    const asked = messages.map(({ role }, i) => (role === "user" ? i : -1)).filter((i) => i >= 0);
    if (!threshold) return messages.map((each) => (each.role === "user" ? folded(each) : each));
    const meant = [];
    for (const i of asked) meant.push(this.#meant(messages[i].content, meant.at(-1)?.[1]));
    const last = meant.at(-1);
    if (!last) {
      const text = messages[messages.length - 1].content;
      const total = Array.from(text).reduce((n, char) => n + (char.codePointAt(0) ?? 0), 0);
      return unknown[total % unknown.length];
    }
    const latest = new Map();
    meant.slice(0, -1).forEach((asking, n) => {
      if (asking && needs[last[1]]?.includes(asking[1])) latest.set(asking[1], n);
    });
    const numbers = [...Array.from(latest.values()).sort((a, b) => a - b), meant.length - 1];
    return numbers.flatMap((n) => {
      const [text, , nOpen] = meant[n];
      const isFilled = nOpen || text.split(" ").includes(matching.number);
      const read = isFilled ? folded(messages[asked[n]]) : { role: "user", content: text };
      return [read, ...messages.slice(asked[n] + 1, asked[n + 1] ?? asked[n] + 1)];
    });
  }

  /** Return the asking that a message means, if it is known; `before` is the topic before it. */
  #meant(text, before) {
    const { askings, follows, is_table: isTable, replies, threshold } = this.#facts;
    const known = this.#matcher
      .rank(text)
      .filter(({ similarity }) => similarity >= threshold)
      .map(({ asking, similarity }) => ({ asking: askings[asking], similarity }))
      .filter(({ asking: [, topic] }) => [undefined, null, before].includes(follows[topic]));
    const same = askings
      .filter(([asked]) => isTable && asked === text)
      .map((asking) => ({ asking, similarity: 1 }));
    const best = same.length ? same : known.filter(({ similarity }) => similarity === known[0].similarity);
    const isClear = new Set(best.map(({ asking }) => asking[1])).size === 1;
    if (!best.length || (isTable && !isClear) || !replies[best[0].asking[1]]) return null;
    return best[0].asking;
  }
}
