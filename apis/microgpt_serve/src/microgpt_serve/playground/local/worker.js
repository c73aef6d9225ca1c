// The worker of a page: an engine with a model, or a laboratory. It answers the requests of
// connection.js.

import { LocalEngine } from "./engine.js";
import { unpacked } from "./file.js";
import { Laboratory } from "./laboratory.js";

/** @type {Promise<LocalEngine | Laboratory>} */
let engine;

self.onmessage = ({ data, ports }) => {
  if (ports.length) answer(data, ports[0]);
  else (engine = started(data)).catch(() => {}); // each request tells what went wrong
};

/** Return an engine with the packed bytes of its file and of a model, or a laboratory without one. */
async function started(/** @type {Uint8Array[]} */ files) {
  const [kernels, model] = files.map(unpacked);
  if (!model) return new Laboratory(kernels);
  return new LocalEngine({ ...kernels, ...model, parts: { ...kernels.parts, ...model.parts } });
}

/**
 * Answer a request with values, and then with the end or an error.
 * @param {{kind: "get" | "post" | "stream", path: string, body: any}} request
 * @param {MessagePort} port any message from it ends the work
 */
async function answer({ kind, path, body }, port) {
  const stopping = new AbortController();
  port.onmessage = () => stopping.abort();
  try {
    const found = await engine;
    if (kind === "stream") {
      for await (const value of found.stream(path, body, stopping.signal)) port.postMessage({ value });
    } else {
      port.postMessage({ value: await found[kind](path, body, stopping.signal) });
    }
    port.postMessage({ isDone: true });
  } catch (/** @type {any} */ error) {
    port.postMessage({ error: error.message });
  }
}
