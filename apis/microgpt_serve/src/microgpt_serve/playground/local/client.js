// Requests to the engine in this file, which runs in a worker. It takes the place of service.js.

import { sentence } from "../text.js";

const DAMAGED = "This file is damaged. Ask for another copy of it.";
const OLD = "This browser is too old. Use a current version of Firefox, Chrome, Edge or Safari.";
const STOPPED = "The engine of this page has stopped. Reload the page.";

export class ServiceError extends Error {}

/** Return the answer to a GET request. */
export const get = (path) => first(answers({ kind: "get", path }));

/** Return the answer to a POST request. */
export const post = (path, body, signal) => first(answers({ kind: "post", path, body }, signal));

/** Yield the events of a streamed answer. Aborting the signal also ends the engine's work. */
export const stream = (path, body, signal) => answers({ kind: "stream", path, body }, signal);

async function first(found) {
  for await (const value of found) return value;
}

let starting = null; // the engine, once it has been asked for

/** Yield the values with which the engine answers a request. */
async function* answers(request, signal) {
  const { worker, failed } = await (starting ??= start());
  signal?.throwIfAborted();
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
  worker.postMessage(request, [port2]);
  try {
    for (;;) {
      if (!arrived.length) await Promise.race([new Promise((resolve) => (wake = resolve)), failed]);
      signal?.throwIfAborted();
      const { value, error, isDone } = arrived.shift();
      if (error) throw new ServiceError(sentence(error));
      if (isDone) return;
      yield value;
    }
  } finally {
    signal?.removeEventListener("abort", abort);
    port.postMessage("stop");
    port.close();
  }
}

/** Start the worker with the model of this page. */
async function start() {
  if (!globalThis.DecompressionStream) throw new ServiceError(OLD);
  const [code, model] = await Promise.all(["engine-code", "model-data"].map(unpacked));
  const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const worker = new Worker(address);
  const failed = new Promise((_, reject) => {
    worker.onerror = () => reject(new ServiceError(STOPPED));
  });
  failed.catch(() => {}); // it is told to those who wait
  worker.postMessage(model, [model.buffer]);
  return { worker, failed };
}

/** Return the bytes in an element, which are deflated, with a checksum, and written in Base64. */
async function unpacked(id) {
  try {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (char) => char.charCodeAt(0));
    const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(inflated).arrayBuffer());
  } catch {
    throw new ServiceError(DAMAGED);
  }
}
