// Describe what activates a hidden unit and what the unit causes, and measure the average effect of each part.

import { ask } from "../client.js";
import { percent, quoted } from "../text.js";

const MOST_WEIGHTS = 1e6; // weights of a model that writes texts, at most
const N_TEXTS = 50;
const N_TOKENS = 16; // tokens of each text
const N_LETTERS = 3; // letters at the end of a beginning

/** Return texts that the model writes, for statistics of its parts; none for a chat model or a large model. */
export async function textsOf({ chat, num_params: n }) {
  const body = { num_samples: N_TEXTS, max_tokens: N_TOKENS, temperature: 1 };
  return chat || n > MOST_WEIGHTS ? [] : (await ask("generate", body)).samples;
}

/** Return a sentence on a unit. */
export function sentenceOn({ share, active, raised, lowered }) {
  const end = (text) => quoted(text.length > N_LETTERS ? `…${text.slice(-N_LETTERS)}` : text || "<|bos|>");
  const some = active.map(end).join(", ");
  const where = `In ${N_TEXTS} texts, the unit is active after ${percent(share)} of the tokens, most after ${some}. `;
  const list = (labels) => labels.map((label) => quoted(label, true)).join(", ");
  return `${some && where}If it is active, it makes likelier: ${list(raised)}; and less likely: ${list(lowered)}.`;
}
