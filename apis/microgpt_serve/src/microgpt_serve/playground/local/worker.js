// The worker of a page that has its own engine: answers the requests of client.js.

import { LocalEngine } from "./engine.js";

let engine = null;
let problem = "";

self.onmessage = ({ data, ports: [port] }) => {
  if (port) answer(data, port);
  else start(data);
};

/** Start the engine with a model: a line of JSON with facts and sizes, then the bytes of each part. */
function start(bytes) {
  try {
    const end = bytes.indexOf(10);
    const facts = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
    const parts = {};
    let at = end + 1;
    for (const [name, size] of Object.entries(facts.sizes)) parts[name] = bytes.slice(at, (at += size));
    engine = new LocalEngine({ ...facts, parts });
  } catch (error) {
    problem = error.message;
  }
}

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
  } catch (error) {
    port.postMessage({ error: error.message });
  }
}
