// The worker of a page: an engine with a model, or a laboratory. It answers the requests of
// connection.js.

import { LocalEngine } from "./engine.js";
import { unpacked } from "./file.js";
import { Laboratory } from "./laboratory.js";

/** @type {LocalEngine | Laboratory} */
let engine;
let problem = "";

self.onmessage = ({ data, ports }) => {
  if (ports.length) answer(data, ports[0]);
  else start(data);
};

/** Start the engine with the packed bytes of its file and of a model, or the laboratory without one. */
function start(/** @type {Uint8Array[]} */ files) {
  try {
    const [kernels, model] = files.map(unpacked);
    engine = model
      ? new LocalEngine({ ...kernels, ...model, parts: { ...kernels.parts, ...model.parts } })
      : new Laboratory(kernels);
  } catch (/** @type {any} */ error) {
    problem = error.message;
  }
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
    if (problem) throw new Error(problem);
    if (kind === "stream") {
      for await (const value of engine.stream(path, body, stopping.signal)) port.postMessage({ value });
    } else {
      port.postMessage({ value: await engine[kind](path, body, stopping.signal) });
    }
    port.postMessage({ isDone: true });
  } catch (/** @type {any} */ error) {
    port.postMessage({ error: error.message });
  }
}
