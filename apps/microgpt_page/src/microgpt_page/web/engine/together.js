// How the score of a token comes about: from the token that is read, from attention, and from the MLP.

import { product } from "./activations.js";

/**
 * Return, for each token that may come, the part of its logit from the stream, from attention and from the
 * MLP, and what the MLP would add if attention had fetched nothing; and the parts of the sums of the hidden
 * units from the stream and from attention. A model adds the parts up like this if it has one layer and no last
 * norm; of another one, return null.
 * @param {import("./model.js").Model} model
 */
export function together({ config, matrices }, activations) {
  if (config.architecture !== "karpathy" || config.n_layer > 1) return null;
  const { x, "layer0.attention_output": fetched, "layer0.mlp_output": added } = activations;
  const unitsOf = (list, of) => {
    const scale = (of.reduce((sum, each) => sum + each * each, 0) / of.length + 1e-5) ** -0.5;
    return product(matrices.mlp_fc1, 0, list.map((each) => scale * each)); // prettier-ignore
  };
  const sums = [x, fetched].map((list) => unitsOf(list, activations["layer0.x_after_attention"]));
  const alone = product(matrices.mlp_fc2, 0, unitsOf(x, x).map((each) => Math.max(0, each))); // prettier-ignore
  const [own, attention, mlp, mlpAlone] = [x, fetched, added, alone].map((list) => product(matrices.lm_head, 0, list));
  return { own, attention, mlp, mlpAlone, sums };
}
