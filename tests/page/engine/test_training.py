"""Tests that training in Node gives the same bits as Python with WebAssembly's rounding."""

import json
import math

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long]

N_MODELS = 20
JOB = ("training_runs.py", N_MODELS)
CODE = """
import { dataOf } from "./documents.js";
import { Engine } from "./engine.js";
import { heldOutLoss } from "./evaluation.js";
import { Model } from "./model.js";
import { samples } from "./samples.js";
import { Trainer } from "./trainer.js";
import { untrained } from "./untrained_model.js";
const encoded = ({ buffer }) => Buffer.from(buffer).toString("base64");
const SAMPLING = { temperature: 0.5, topK: 0 };

function made({ text, model: shape, config, validation }) {
  const data = dataOf(text, { text: config.text, validation, size: shape.block_size });
  const empty = untrained(file, shape, data.tokenizer, config.text);
  const model = new Model(empty);
  const trainer = new Trainer(model, config, data.train);
  return { model, engine: new Engine(empty, model), trainer, ...data };
}
/** Train up to a step or a NaN. */
function trained(trainer, until) {
  const losses = [];
  while (trainer.nSteps < until && !Number.isNaN(losses.at(-1))) losses.push(...trainer.run(until));
  return losses;
}
/** Go on from an earlier step; return the losses since then, and the weights. */
function rewound(trainer, kept, steps) {
  trainer.restore(kept);
  trainer.run(steps); // which may end in a step
  trainer.restore(kept);
  return [trained(trainer, steps), encoded(trainer.weights())];
}
async function answer(number) {
  const { config, names } = all.cases[number];
  const { model, engine, trainer, tokenizer, validation } = made(all.cases[number]);
  const [losses, heldOut] = [[], {}];
  let kept;
  const between = Math.max(1, Math.floor(config.steps / config.evaluations));
  while (trainer.nSteps < config.steps && !Number.isNaN(losses.at(-1))) {
    const next = (Math.floor(trainer.nSteps / between) + 1) * between;
    losses.push(...trained(trainer, Math.min(config.steps, next)));
    model.setWeights(trainer.weights());
    if (validation.length) heldOut[trainer.nSteps] = heldOutLoss(model, validation);
    kept ??= trainer.snapshot();
  }
  const found = { losses, held_out: heldOut, weights: encoded(trainer.weights()) };
  if (!names.length) return { ...found, again: rewound(trainer, kept, config.steps) };
  const body = { num_samples: 5, prompt: "a", seed: 7 };
  const others = (await engine.answer("generate", body)).samples;
  const drawn = samples(model, tokenizer, trainer.random.copy(), names.length, SAMPLING);
  return { ...found, names: drawn, others };
}
"""


def test_javascript_training_equals_pythons_also_after_a_rewind(node, runs, golden) -> None:
    """Losses, weights and the names of Karpathy's run are equal; held-out losses are only close."""
    expected = json.loads(runs.read_text())["cases"]
    found = node.with_runs(runs, CODE, range(len(expected)))
    for number, (case, run) in enumerate(zip(expected, found, strict=True)):
        losses = [math.nan if loss is None else loss for loss in run["losses"]]
        if case["has_diverged"]:
            *before, last = losses
            assert (before, math.isnan(last)) == (case["losses"], True), number
            continue
        assert losses == case["losses"], number
        assert run["weights"] == case["weights"], number
        if "again" in run:
            since, weights = run["again"]
            assert (losses[len(losses) - len(since) :], run["weights"]) == (since, weights), number
        assert run.get("names", []) == case["names"], number
        assert run.get("others", []) == case["others"], number
        assert run["held_out"].keys() == case["held_out"].keys(), number
        if case["config"]["without"]:
            continue  # Python removes model parts after the evaluation, so losses differ
        for step, loss in case["held_out"].items():
            assert math.isclose(run["held_out"][step], loss, rel_tol=1e-13), (number, step)
    assert found[0]["names"] == golden["samples"]
    assert any(case["has_diverged"] for case in expected)
    assert sum(not case["has_diverged"] for case in expected) > N_MODELS / 2
