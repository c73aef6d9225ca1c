// Requests to the engine in this file, which runs in a worker. It takes the place of service.js, and its
// functions do the same.

import { Connection, ServiceError } from "../connection.js";

const DAMAGED = "This file is damaged. Ask for another copy of it.";
const OLD = "This browser is too old. Use a current version of Firefox, Chrome, Edge or Safari.";
const STOPPED = "The engine of this page has stopped. Reload the page.";

const original = document.documentElement.cloneNode(true); // before scripts change it
let starting = null; // the engine, once it has been asked for
const engine = () => (starting ??= started(["engine-data", "model-data"], STOPPED));

/** A file has one model. */
export const chooseModel = () => {};

export const get = async (path) => (await engine()).get(path);

export const post = async (path, body, signal) => (await engine()).post(path, body, signal);

export async function* stream(path, body, signal) {
  yield* (await engine()).stream(path, body, signal);
}

export const laboratory = (stopped) => started(["engine-data"], stopped);

export const bundledNames = () => unpacked("names-data");

export const pageText = async () => `<!doctype html>\n${original.outerHTML}`;

/** Start a worker with data of this page. */
async function started(names, stopped) {
  if (!globalThis.DecompressionStream) throw new ServiceError(OLD);
  const [code, ...files] = await Promise.all(["engine-code", ...names].map(unpacked));
  const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const worker = new Worker(address);
  URL.revokeObjectURL(address);
  return new Connection(worker, files, stopped);
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
