// How the score of a token comes about: from the token that is read, from attention, and from the MLP.

import { product } from "./activations.js";

/**
 * Return, for each token that may come, the part of its logit from the stream, from attention and from the
 * MLP, and what the MLP would add if attention had fetched nothing. A model adds them up like this if it
 * has one layer and no last norm; of another one, return null.
 * @param {import("./model.js").Model} model
 */
export function together({ config, matrices }, activations) {
  if (config.architecture !== "karpathy" || config.n_layer > 1) return null;
  const { x, "layer0.attention_output": fetched, "layer0.mlp_output": added } = activations;
  const scale = (x.reduce((sum, each) => sum + each * each, 0) / x.length + 1e-5) ** -0.5;
  const hidden = product(matrices.mlp_fc1, 0, x.map((each) => scale * each)); // prettier-ignore
  const alone = product(matrices.mlp_fc2, 0, hidden.map((each) => Math.max(0, each))); // prettier-ignore
  const [own, attention, mlp, mlpAlone] = [x, fetched, added, alone].map((list) => product(matrices.lm_head, 0, list));
  return { own, attention, mlp, mlpAlone };
}
