// A conversation whose messages can have several versions, each with what was said after it.

/** Return whether JSON is the start of a conversation, or a message, with all that follows it. */
const isTurn = ({ next, at }) =>
  Array.isArray(next) && (at === 0 || (Number.isInteger(at) && at in next)) && next.every(isMessage);

const isMessage = (each) =>
  ["user", "assistant"].includes(each?.role) && typeof each.content === "string" && isTurn(each);

export class Versions {
  /**
   * Args: the start of a conversation. Like each message, it has in `next` the versions of the message
   * that follows, and in `at` the number of the one that is shown.
   */
  constructor(start = { next: [], at: 0 }) {
    this.start = start;
  }

  /** Return the conversation of messages. */
  static of(messages) {
    const made = new Versions();
    messages.forEach((message, i) => made.add(i, message));
    return made;
  }

  /** Return the conversation with the start in JSON, or undefined if it is none. */
  static parse(json) {
    const start = JSON.parse(json);
    return start && isTurn(start) ? new Versions(start) : undefined;
  }

  /** Return the start and the messages that are shown. */
  get #shown() {
    const found = [this.start];
    while (found.at(-1).next.length) found.push(found.at(-1).next[found.at(-1).at]);
    return found;
  }

  /** Return the messages that are shown. */
  get messages() {
    return this.#shown.slice(1).map(({ role, content }) => ({ role, content }));
  }

  /** Return which version of message i is shown, counted from 0, and the number of its versions. */
  of(i) {
    const { at, next } = this.#shown[i];
    return { at, n: next.length };
  }

  /** Add a version of message i, and show it. */
  add(i, { role, content, note }) {
    const before = this.#shown[i];
    before.at = before.next.push({ role, content, note, next: [], at: 0 }) - 1;
  }

  /** Show the version of message i with a content; return whether there is one. */
  find(i, content) {
    const before = this.#shown[i];
    const at = before.next.findIndex((each) => each.content === content);
    if (at >= 0) before.at = at;
    return at >= 0;
  }

  /** Return what was said about the last message that is shown, such as that it is incomplete. */
  get note() {
    return this.#shown.at(-1).note ?? "";
  }

  /** Remove the version of message i that is shown. Another one is shown instead, if there is one. */
  remove(i) {
    const before = this.#shown[i];
    before.next.splice(before.at, 1);
    before.at = Math.max(0, before.next.length - 1);
  }

  /** Show a version of message i. After the last one comes the first. */
  choose(i, at) {
    const before = this.#shown[i];
    before.at = (at + before.next.length) % before.next.length;
  }

  /** Show a conversation that begins with contents. Return whether there is one. */
  show(contents) {
    const shown = this.messages;
    if (contents.every((content, i) => content === shown[i]?.content)) return true;
    const numbers = [];
    let turn = this.start;
    for (const content of contents) {
      const at = turn.next.findIndex((each) => each.content === content);
      if (at < 0) return false;
      numbers.push(at);
      turn = turn.next[at];
    }
    numbers.forEach((at, i) => this.choose(i, at));
    return true;
  }
}
