// The worker of a page runs an engine with a model, or a laboratory. It answers the requests of
// connection.js.

import { Engine } from "./engine.js";
import { unpacked } from "./file.js";
import { Laboratory } from "./laboratory.js";

/** @type {Promise<Engine | Laboratory>} */
let engine;

self.onmessage = ({ data, ports }) => {
  if (ports.length) answer(data, ports[0]);
  else (engine = started(data)).catch(() => {}); // each request reports the error
};

/** Return an engine for the packed bytes of an engine and a model, or a laboratory for those of an engine. */
async function started(/** @type {Uint8Array[]} */ files) {
  const [kernels, model] = files.map(unpacked);
  if (!model) return new Laboratory(kernels);
  return new Engine({ ...kernels, ...model, parts: { ...kernels.parts, ...model.parts } });
}

/**
 * Answer a request: send a value or the parts of an answer, and then the end or an error.
 * @param {{name: string, body: any}} request
 * @param {MessagePort} port a message from this port ends the work
 */
async function answer({ name, body }, port) {
  const stopping = new AbortController();
  port.onmessage = () => stopping.abort();
  try {
    const found = await (await engine).answer(name, body, stopping.signal);
    if (found?.[Symbol.asyncIterator]) {
      for await (const value of found) port.postMessage({ value });
    } else {
      port.postMessage({ value: found });
    }
    port.postMessage({ isDone: true });
  } catch (/** @type {any} */ error) {
    port.postMessage({ error: error.message });
  }
}
