// The askings of a character or a table, and the text that the model reads. JavaScript version of knowledge.py.

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
    if (!threshold) {
      return messages.map(({ role, content }, i) => ({ role, content: i % 2 ? content : plain(content) }));
    }
    let topic = null;
    const latest = new Map(); // latest exchange of each topic, in order
    for (let i = 0; i < messages.length; i += 2) {
      const match = this.#meant(messages[i].content, topic);
      topic = match ? match.asking[1] : null;
      if (!match) continue;
      latest.delete(topic);
      latest.set(topic, [{ role: "user", content: match.read }, ...messages.slice(i + 1, i + 2)]);
    }
    if (topic === null) return unknown[[...messages[messages.length - 1].content].length % unknown.length];
    const needed = [topic, follows[topic], ...needs[topic]];
    return [...latest].flatMap(([each, exchange]) => (needed.includes(each) ? exchange : []));
  }

  /** Return the match of a message, or of a sentence of it; `before` is the previous topic. */
  #meant(text, before) {
    const { askings, follows, is_table: isTable, replies, threshold } = this.#facts;
    const exact = askings.find(([asked]) => isTable && asked === text);
    if (exact) return { asking: exact, read: text };
    const found = [...new Set([text, ...text.split(/[,.;:!?]+(?![0-9])/)])].flatMap((part) =>
      this.#matcher.rank(part).filter(({ asking: [, topic, reads] }) => {
        return (part === text || reads.includes("{")) && [null, before].includes(follows[topic]);
      }),
    );
    const [best] = found.sort((a, b) => b.similarity - a.similarity);
    return best?.similarity >= threshold && replies[best.asking[1]] && best;
  }
}
