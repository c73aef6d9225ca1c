// Send requests to the engine of this page, and read the data in the page.

import { Connection } from "./connection.js";
import { EngineError } from "./engine/errors.js";

const DAMAGED = "This page is damaged. Ask for another copy of it.";
const OLD = "This browser is too old. Use a current version of Firefox, Chrome, Edge or Safari.";
const STOPPED = "The engine of this page has stopped. Reload the page.";

const original = document.documentElement.cloneNode(true); // before scripts change it
original.querySelector("#others")?.remove(); // links that a saved copy cannot follow
let starting = null; // a promise of the engine, once requested
const engine = () => (starting ??= started(["engine-data", "model-data"], STOPPED));

/** Return the engine's answer to a request. */
export const ask = async (name, body, signal) => (await engine()).ask(name, body, signal);

/** Yield the parts of the engine's answer. If the signal is aborted, the engine stops its work. */
export async function* stream(name, body, signal) {
  yield* (await engine()).stream(name, body, signal);
}

/** Return a connection to a new worker that runs a laboratory, which trains models. */
export const laboratory = (stopped) => started(["engine-data"], stopped);

/** Return the bundled names, one per line. */
export const bundledNames = () => unpacked("names-data");

/** Return the text of this page. */
export const pageText = () => `<!doctype html>\n${original.outerHTML}`;

/** Start a worker with the data in this page. */
async function started(names, stopped) {
  if (!globalThis.DecompressionStream) throw new EngineError(OLD);
  const [code, ...files] = await Promise.all(["engine-code", ...names].map(unpacked));
  const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const worker = new Worker(address);
  URL.revokeObjectURL(address);
  return new Connection(worker, files, stopped);
}

/** Return the decompressed bytes of an element, which are stored as a zlib stream in Base64. */
async function unpacked(id) {
  try {
    const text = atob(document.getElementById(id).textContent);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i); // much faster than Uint8Array.from
    const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(inflated).arrayBuffer());
  } catch {
    throw new EngineError(DAMAGED);
  }
}
