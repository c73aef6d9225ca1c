// The worker of a page that has its own engine: answers the requests of client.js.

import { LocalEngine } from "./engine.js";

/** @type {LocalEngine} */
let engine;
let problem = "";

self.onmessage = ({ data, ports }) => {
  if (ports.length) answer(data, ports[0]);
  else start(data);
};

/**
 * Start the engine with a model: a line of JSON with facts and sizes, then the bytes of each part.
 * @param {Uint8Array} bytes
 */
function start(bytes) {
  try {
    const end = bytes.indexOf(10);
    const facts = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
    const parts = {};
    let at = end + 1;
    for (const [name, size] of Object.entries(facts.sizes)) parts[name] = bytes.slice(at, (at += size));
    engine = new LocalEngine({ ...facts, parts });
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
