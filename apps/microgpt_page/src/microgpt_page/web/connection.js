// Send requests to a worker that runs engine/worker.js, each over a separate port.

import { EngineError } from "./engine/errors.js";
import { sentence } from "./text.js";

export class Connection {
  #worker;
  #waiting = new Set(); // callbacks of open requests
  #problem = ""; // why the worker cannot answer, once it has died

  /**
   * Args:
   *   worker: a worker that has just been started.
   *   files: the packed bytes of an engine and, optionally, of a model.
   *   stopped: the error message for waiting requests if the worker dies.
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

  /** Return the answer to a request. */
  async ask(name, body = {}, signal = undefined) {
    for await (const value of this.stream(name, body, signal)) return value;
  }

  /** Yield the parts of an answer. If the signal is aborted, the worker stops its work. */
  async *stream(name, body, signal) {
    signal?.throwIfAborted();
    if (this.#problem) throw new EngineError(this.#problem);
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
      this.#worker.postMessage({ name, body }, [port2]);
      for (;;) {
        if (!arrived.length) await new Promise((resolve) => (wake = resolve));
        signal?.throwIfAborted();
        const { value, error, isDone } = arrived.shift();
        if (error) throw new EngineError(sentence(error));
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
