// The known messages of a character or a table, and the text that the model reads. Equals knowledge.py.

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
   * Return the messages that the model reads, or the reply to an unknown message.
   * @param {import("./tokenizer.js").Message[]} messages
   * @returns {import("./tokenizer.js").Message[] | string}
   */
  choose(messages) {
    const { follows, matching, needs, threshold, unknown } = this.#facts;
    if (!threshold) return messages.map((each) => (each.role === "user" ? folded(each) : each));
    let topic = null;
    const latest = new Map(); // exchange of a topic, in their order
    for (let i = 0; i < messages.length; i += 2) {
      const asking = this.#meant(messages[i].content, topic);
      topic = asking ? asking[1] : null;
      const isRead = asking && !asking[2] && !asking[0].split(" ").includes(matching.number);
      const message = isRead ? { role: "user", content: asking[0] } : folded(messages[i]);
      latest.delete(topic);
      latest.set(topic, [message, ...messages.slice(i + 1, i + 2)]);
    }
    if (topic === null) {
      const codes = Array.from(messages[messages.length - 1].content, (char) => char.codePointAt(0) ?? 0);
      return unknown[codes.reduce((total, code) => total + code, 0) % unknown.length];
    }
    const read = [topic, follows[topic], ...needs[topic]].filter((each) => each !== null);
    return Array.from(latest).flatMap(([each, exchange]) => (read.includes(each) ? exchange : []));
  }

  /** Return the asking that a message means, if it is known; `before` is the previous topic. */
  #meant(text, before) {
    const { askings, follows, is_table: isTable, replies, threshold } = this.#facts;
    const same = askings.filter(([asked]) => isTable && asked === text).map((asking) => [asking, 1]);
    const known = (same.length ? same : this.#matcher.rank(text)).filter(
      ([[, topic], similarity]) => similarity >= threshold && [null, before].includes(follows[topic]),
    );
    const best = known.filter(([, similarity]) => similarity === known[0][1]).map(([asking]) => asking);
    const isClear = !isTable || new Set(best.map(([, topic]) => topic)).size === 1;
    return best.length && isClear && replies[best[0][1]] ? best[0] : null;
  }
}

const folded = (message) => ({ ...message, content: plain(message.content) });
