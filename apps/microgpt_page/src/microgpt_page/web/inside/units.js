// What a hidden unit of an MLP responds to, and what it does.

import { ask } from "../client.js";
import { percent, quoted } from "../text.js";

const MOST_WEIGHTS = 1e6; // of a model that writes texts for this
const [N_TEXTS, N_TOKENS] = [50, 16]; // of them, at most

/** Return facts on the hidden units of a layer, from texts that the model writes; see engine/units.js. */
export async function findUnits({ chat, num_params: n }, layer, changes) {
  const body = { num_samples: N_TEXTS, max_tokens: N_TOKENS, temperature: 1, ...changes };
  const isSmall = !chat && n <= MOST_WEIGHTS;
  const texts = isSmall ? (await ask("generate", body)).samples : [];
  return ask("units", { texts, layer, ...changes });
}

/** Return a sentence on a unit. */
export function sentenceOn({ share, active, raised, lowered }) {
  const some = active.map((text) => quoted(text || "<|bos|>")).join(", ");
  const where = `In ${N_TEXTS} texts of this model, the unit is active after ${percent(share)} of the tokens, most after ${some}. `;
  const list = (labels) => labels.map((label) => quoted(label, true)).join(", ");
  return `${some && where}If it is active, it makes likelier: ${list(raised)}; and less likely: ${list(lowered)}.`;
}
