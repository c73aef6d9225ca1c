// Requests to the service. Problems are `ServiceError`s with a message for a person. In a page that is
// a file, local/client.js takes the place of this module.

import { Connection, ServiceError } from "./connection.js";
import { byId, element, printable, sentence } from "./text.js";

const WORKER = "playground/local/worker.js";
const KEY = "microgpt-key"; // in the session storage of this tab
const policy = globalThis.trustedTypes?.createPolicy("worker", { createScriptURL: () => WORKER });
const dialog = document.getElementById("key-dialog");

let model = ""; // the name of the model that the requests are for

/** Return the address of a GET request, or of this page, for a model. */
const forModel = (path, name = model) => `${path}?${new URLSearchParams({ model: name })}`;

/** Choose the model that the address names, else the first, and offer all in a menu. */
export async function chooseModel() {
  const { data } = await (await request("v1/models", {})).json();
  const named = new URLSearchParams(location.search).get("model");
  model = named ?? data[0].id;
  const file = document.querySelector("#as-file a");
  if (file) file.href = forModel("microgpt/v1/model.html");
  if (data.length === 1) return;
  if (named === null) history.replaceState(null, "", forModel("") + location.hash); // for links
  const menu = byId("model-menu");
  menu.append(...data.map(({ id }) => element("option", { value: id }, printable(id))));
  menu.value = model; // none if the address is wrong
  menu.addEventListener("change", () => {
    const { value } = menu;
    menu.value = model; // what the page shows if one goes back to it
    location.assign(forModel("", value) + location.hash);
  });
  byId("models").hidden = false;
}

/** Return the answer to a GET request. */
export const get = async (path) => (await request(forModel(path), {})).json();

/** Return the answer to a POST request. */
export const post = async (path, body, signal) => (await send(path, body, signal)).json();

/** Yield the events of a streamed answer. Aborting the signal also ends the service's work. */
export async function* stream(path, body, signal) {
  const response = await send(path, { ...body, stream: true }, signal);
  let rest = "";
  for await (const piece of pieces(response.body.pipeThrough(new TextDecoderStream()))) {
    const events = (rest + piece).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data === "[DONE]") return;
      const found = JSON.parse(data);
      if (found.error) throw new ServiceError(found.error.message);
      yield found;
    }
  }
  throw new ServiceError("The service closed the connection before the end of the answer.");
}

/** Return a connection to a new worker with a laboratory, which trains models. */
export async function laboratory(stopped) {
  const engine = await bytes("microgpt/v1/engine.bin");
  const worker = new Worker(policy?.createScriptURL("") ?? WORKER, { type: "module" });
  return new Connection(worker, [engine], stopped);
}

/** Return the text of a page in one file, whose model can be replaced. */
export const pageText = async () => (await request(forModel("microgpt/v1/model.html"), {})).text();

/** Return the bundled names, one per line. */
export const bundledNames = () => bytes("playground/names.txt");

const bytes = async (path) => new Uint8Array(await (await request(path, {})).arrayBuffer());

async function* pieces(stream) {
  const reader = stream.getReader(); // streams are not iterable in every browser
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(rethrow);
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

const send = (path, body, signal) =>
  request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ model, ...body }),
    signal,
  });

async function request(path, options) {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    if (key) document.getElementById("as-file")?.remove(); // the service does not give it away
    const headers = { ...options.headers, ...(key && { Authorization: `Bearer ${key}` }) };
    const response = await fetch(path, { ...options, headers }).catch(rethrow);
    if (response.ok) return response;
    if (response.status === 401) {
      await askForKey(key);
      continue;
    }
    const { error } = await response.json().catch(() => ({}));
    const message = error?.message ?? error ?? `The service answered with status ${response.status}.`;
    const wait = response.headers.get("Retry-After");
    throw new ServiceError(sentence(message) + (wait ? ` Try again in ${wait} s.` : ""));
  }
}

function rethrow(error) {
  if (error.name === "AbortError") throw error;
  throw new ServiceError("The service does not answer. Start it again, then repeat what you did.");
}

let asking = null;

/** Ask for a key, once for all requests that wait for one. */
function askForKey(refused) {
  if (refused !== sessionStorage.getItem(KEY)) return; // another request has asked meanwhile
  asking ??= new Promise((resolve) => {
    const input = document.getElementById("key");
    document.getElementById("key-why").textContent = refused
      ? "The service refused the key. Check it and enter it again."
      : "Ask whoever runs the service for one.";
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.querySelector("form").addEventListener(
      "submit",
      () => {
        sessionStorage.setItem(KEY, input.value.trim());
        input.value = "";
        dialog.close();
        asking = null;
        resolve();
      },
      { once: true },
    );
    dialog.showModal();
  });
  return asking;
}
