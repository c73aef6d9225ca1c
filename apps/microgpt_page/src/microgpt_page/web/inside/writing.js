// Show texts that the model writes with and without the changes of "Look inside".

import { ask } from "../client.js";
import { byId, said, tableRow } from "../text.js";

const N_TEXTS = 5;
const SEED = 42;

/** Return texts, or a reply to messages, that the model writes with some changes. */
async function texts(messages, changes, signal) {
  if (messages) {
    const body = { messages, seed: SEED, ...changes };
    return [await ask("chat", body, signal)];
  }
  const body = { num_samples: N_TEXTS, seed: SEED, ...changes };
  return (await ask("generate", body, signal)).samples;
}

/** Show what the model writes before and after changes. Args: for a chat model, the messages. */
export async function compareTexts(messages, changes, signal) {
  const [before, after] = [await texts(messages, {}, signal), await texts(messages, changes, signal)];
  const rows = before.map((text, i) => tableRow(null, said(text), said(after[i])));
  byId("texts-written").tBodies[0].replaceChildren(...rows);
  byId("written").hidden = false;
}
