// Show how a number of a step is calculated from earlier numbers.

import { brief } from "./backward.js";
import { matrixOf, partsOf } from "./switches.js";
import { percent, quoted, shown } from "../text.js";

/**
 * Return named lists: factors whose products are added up, or terms. Also return the labels of the positions in
 * the lists, and a function that describes the further calculation with the sum. Args: a step, the index of its
 * number, the explanation, the row of the matrix, if the step has one, and the context.
 */
export function arithmetic(step, i, { activations: all, earlier }, row, { model, read, at, sampling }) {
  const { layer, kind, head } = partsOf(step);
  const of = (name) => all[layer === null ? name : `layer${layer}.${name}`];
  const stream = layer ? all[`layer${layer - 1}.x`] : all.x;
  const last = all[`layer${model.n_layer - 1}.x`];
  const size = model.n_embd / model.n_head;
  const product = (input, name = "input", noun = "number") => ({
    noun,
    names: [`row ${i + 1} of ${matrixOf(step).replace(/.*\./, "")}`, name],
    lists: [row, input],
  });
  const sum = (...terms) => ({ terms });
  const scaled = (list) => {
    const mean = list.reduce((total, x) => total + x * x, 0) / list.length;
    const why = "the second number is 1 / √(mean of the squares of the list)";
    const then = (sum, value) => (Math.abs(sum - value) < 1e-3 ? why : ""); // not where positions are mixed
    return { lists: [[list[i]], [(mean + 1e-5) ** -0.5]], then };
  };
  const own = Math.floor(i / size); // the head of number i
  const part = (list, one = head) => list.slice(one * size, (one + 1) * size);
  const ways = {
    embedding: () => {
      const rest = { karpathy: `wpe, row of position ${at}`, modern: "numbers of the token before" }[model.architecture];
      const own = [`wte, row of ${quoted(read[at])}`, row[i]];
      return rest ? sum(own, [rest, all.embedding[i] - row[i]]) : sum(own);
    },
    x: () => (layer === null ? scaled(all.embedding) : sum(["stream", of("x_after_attention")[i]], ["MLP", of("mlp_output")[i]])),
    attention_input: () => scaled(stream),
    query: () => product(of("attention_input")),
    key: () => product(of("attention_input")),
    value: () => product(of("attention_input")),
    attention: () => ({
      names: ["query", `key of ${shown(read[i])}`],
      lists: [part(of("query")), part(earlier.key[i])],
      then: softmaxed(size, of("attention")[head][i]),
    }),
    heads: () => ({
      names: [`attention of head ${own + 1}`, "values"],
      lists: [of("attention")[own], earlier.value.slice(0, at + 1).map((value) => value[i])],
      labels: read.slice(0, at + 1),
    }),
    attention_output: () => product(of("heads"), "result of the heads"),
    x_after_attention: () => sum(["stream", stream[i]], ["attention", of("attention_output")[i]]),
    mlp_input: () => scaled(of("x_after_attention")),
    hidden: () => ({ ...product(of("mlp_input")), then: activated }),
    mlp_output: () => product(of("hidden"), "hidden units", "unit"),
    logits_input: () => scaled(last),
    logits: () => product(all.logits_input ?? last, "stream"),
    probabilities: () => ({ terms: [["logit", all.logits[i]]], then: drawn(sampling, model.vocab_size) }),
  };
  return ways[kind]();
}

/** Return a sentence on how a score becomes an attention weight. */
const softmaxed = (size, weight) => (sum) =>
  `divided by √${size}: a score of ${brief(sum / Math.sqrt(size))}. Softmax makes ${percent(weight)} of it and the scores of the other tokens`;

const activated = (sum, value) => {
  if (value === 0) return "negative, so the unit is off: 0";
  return brief(sum) === brief(value) ? "positive, so the unit is active" : `positive, and squared: ${brief(value)}`;
};

/** Return a sentence on how a logit becomes a probability. */
const drawn = ({ temperature, k }, n) => (logit, probability) => {
  if (!probability) return "it is not among the likeliest, so it is not drawn: 0 %";
  if (!temperature) return "at temperature 0, the largest logit is always drawn: 100 %";
  const [what, total] = [brief(logit / temperature), k < n ? `the ${k} likeliest` : "all"];
  return (
    `divided by temperature ${temperature.toFixed(2)}: ${what}; e to the power of it, divided by the total of ` +
    `${total} tokens: ${percent(probability)}`
  );
};
