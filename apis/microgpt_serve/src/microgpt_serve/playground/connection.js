// Requests to a worker that runs local/worker.js, each with a port of its own.

import { sentence } from "./text.js";

/** A problem with a message for a person. */
export class ServiceError extends Error {}

export class Connection {
  #worker;
  #waiting = new Set(); // functions that take what arrives for a request
  #problem = ""; // why the worker cannot answer, once it has died

  /**
   * Args:
   *   worker: one that has just been started.
   *   files: the packed bytes of an engine and of a model, which may be missing.
   *   stopped: a sentence for those who wait when the worker dies.
   */
  constructor(worker, files, stopped) {
    this.#worker = worker;
    this.fail = () => {
      worker.terminate();
      this.#problem = stopped;
      for (const arrive of this.#waiting) arrive({ error: stopped });
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.fail();
    };
    worker.postMessage(files);
  }

  /** Return the answer to a GET request. */
  get = (path) => this.#first({ kind: "get", path });

  /** Return the answer to a POST request. */
  post = (path, body, signal) => this.#first({ kind: "post", path, body }, signal);

  /** Yield the events of a streamed answer. Aborting the signal also ends the engine's work. */
  stream = (path, body, signal) => this.#answers({ kind: "stream", path, body }, signal);

  async #first(request, signal) {
    for await (const value of this.#answers(request, signal)) return value;
  }

  /** Yield the values with which the worker answers a request. */
  async *#answers(request, signal) {
    signal?.throwIfAborted();
    if (this.#problem) throw new ServiceError(this.#problem);
    const { port1: port, port2 } = new MessageChannel();
    const arrived = [];
    let wake = () => {};
    const arrive = (message) => {
      arrived.push(message);
      wake();
    };
    port.onmessage = ({ data }) => arrive(data);
    const abort = () => arrive({});
    signal?.addEventListener("abort", abort);
    this.#waiting.add(arrive);
    try {
      this.#worker.postMessage(request, [port2]);
      for (;;) {
        if (!arrived.length) await new Promise((resolve) => (wake = resolve));
        signal?.throwIfAborted();
        const { value, error, isDone } = arrived.shift();
        if (error) throw new ServiceError(sentence(error));
        if (isDone) return;
        yield value;
      }
    } finally {
      signal?.removeEventListener("abort", abort);
      this.#waiting.delete(arrive);
      port.postMessage("stop");
      port.close();
    }
  }
}
