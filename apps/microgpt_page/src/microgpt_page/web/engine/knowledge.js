// The askings of a character or a table, and the text that the model reads. JavaScript version of knowledge.py.

import { lengthOf } from "./characters.js";
import { plain } from "./folding.js";
import { Matcher } from "./matching.js";

export class Knowledge {
  #facts;
  #matcher;

  /** @param {any} facts askings, replies to messages that match no asking, and rules for matching and replying */
  constructor(facts) {
    this.#facts = facts;
    this.#matcher = new Matcher(facts);
  }

  /** Return the messages that the model reads, or the reply to an unknown message. */
  choose(/** @type {import("./tokenizer.js").Message[]} */ messages) {
    const { follows, needs, threshold, unknown } = this.#facts;
    const folded = (each) => (each.role === "user" ? { ...each, content: plain(each.content) } : each);
    if (!threshold) return messages.map(folded);
    let topic = null;
    const latest = new Map(); // latest exchange of each topic, in order
    for (let i = 0; i < messages.length; i += 2) {
      const match = this.#meant(messages[i].content, topic);
      topic = match ? match.asking[1] : null;
      if (!match) continue;
      latest.delete(topic);
      latest.set(topic, [{ role: "user", content: match.read }, ...messages.slice(i + 1, i + 2)]);
    }
    if (topic === null) {
      return unknown[lengthOf(messages[messages.length - 1].content) % unknown.length];
    }
    const needed = [topic, follows[topic], ...needs[topic]];
    return Array.from(latest).flatMap(([each, exchange]) => (needed.includes(each) ? exchange : []));
  }

  /** Return the match of a message, or of a sentence of it; `before` is the previous topic. */
  #meant(text, before) {
    const { askings, follows, is_table: isTable, replies, threshold } = this.#facts;
    let found = askings.map((asking) => ({ asking, similarity: isTable && asking[0] === text ? 2 : 0, read: text }));
    for (const part of new Set([text, ...text.split(/[,.;:!?]+/)])) {
      const ranked = this.#matcher.rank(part);
      found = found.concat(ranked.filter(({ asking }) => part === text || asking[2].includes("{")));
    }
    const known = found.filter(({ asking }) => [null, before].includes(follows[asking[1]]));
    const [best] = known.sort((a, b) => b.similarity - a.similarity);
    return best?.similarity >= threshold && replies[best.asking[1]] ? best : null;
  }
}
