// Divide the logit of a token into the contributions of the current token, of attention and of the MLP.

import { product } from "./activations.js";

/**
 * For each possible next token, return the contributions of the stream, of attention and of the MLP to its
 * logit, and the contribution of the MLP without attention; also return the contributions of the stream and
 * of attention to each hidden unit. Contributions add up only in models with one layer and without a final
 * norm; for other models, return null.
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
