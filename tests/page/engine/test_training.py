"""Training by the engine of the page in Node: the same bits as in Python, at its rounding."""

import base64
import io
import json
import math
import os
import random
import sys
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run_process

from microgpt import InferenceGpt, load

pytestmark = [pytest.mark.slow, pytest.mark.long]

N_MODELS = 30
CODE = """
import { dataOf } from "./documents.js";
import { Engine } from "./engine.js";
import { heldOutLoss } from "./held_out_loss.js";
import { Model } from "./model.js";
import { modelFiles } from "./model_directory.js";
import { samples } from "./samples.js";
import { Trainer } from "./trainer.js";
import { untrained } from "./untrained_model.js";
import { zipped } from "./zip.js";
const all = JSON.parse(readFileSync(FILE, "utf8"));
const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
const kernels = Object.entries(all.parts).map(([name, part]) => [name, bytes(part)]);
const file = { ...all.facts, parts: Object.fromEntries(kernels) };
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
function trained({ trainer }, until) {
  const losses = [];
  while (trainer.nSteps < until && !Number.isNaN(losses.at(-1))) losses.push(...trainer.run(until));
  return losses;
}
"""
RUN = """
async function answer(number) {
  const { config, names } = all.cases[number];
  const { model, engine, trainer, tokenizer, validation } = made(all.cases[number]);
  const [losses, heldOut] = [[], {}];
  const between = Math.max(1, Math.floor(config.steps / config.evaluations));
  while (trainer.nSteps < config.steps && !Number.isNaN(losses.at(-1))) {
    const next = (Math.floor(trainer.nSteps / between) + 1) * between;
    losses.push(...trained({ trainer }, Math.min(config.steps, next)));
    model.setWeights(trainer.weights());
    if (validation.length) heldOut[trainer.nSteps] = heldOutLoss(model, validation);
  }
  const found = { losses, held_out: heldOut, weights: encoded(trainer.weights()) };
  if (!names.length) return found;
  const body = { num_samples: 5, prompt: "a", seed: 7 };
  const others = (await engine.answer("generate", body)).samples;
  const drawn = samples(model, tokenizer, trainer.random.copy(), names.length, SAMPLING);
  return { ...found, names: drawn, others };
}
"""
REWIND = """
function answer([number, step]) {
  const run = made(all.cases[number]);
  const [{ trainer, model, validation }, { steps }] = [run, all.cases[number].config];
  trained(run, step);
  const kept = trainer.snapshot();
  const found = [0, 1, 2].map(() => {
    const losses = trained(run, steps);
    model.setWeights(trainer.weights());
    heldOutLoss(model, validation);
    const result = { losses, weights: encoded(trainer.weights()) };
    trainer.restore(kept);
    trainer.run(steps); // which may end in a step
    trainer.restore(kept);
    return result;
  });
  return found;
}
"""


SAVE = """
function answer(number) {
  const run = made(all.cases[number]);
  trained(run, 20);
  const { model, trainer, tokenizer } = run;
  const facts = { ...trainer.config, steps: trainer.nSteps };
  const files = modelFiles(model.config, tokenizer, trainer.weights(), facts);
  return [encoded(zipped(files)), encoded(trainer.weights())];
}
"""


@pytest.fixture(scope="module")
def runs(kernels, tmp_path_factory) -> Path:
    """Runs of Python at the rounding of WebAssembly."""
    file = tmp_path_factory.mktemp("runs") / "runs.json"
    job = Path(__file__).with_name("training_runs.py")
    env = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    done = run_process([sys.executable, job, str(N_MODELS), kernels, file], env=env)
    assert done.returncode == 0, done.stderr
    return file


def answers(node, runs: Path, code: str, inputs: list[Any]) -> list[Any]:
    return node(CODE.replace("FILE", json.dumps(str(runs))) + code, inputs)


def cases(runs: Path) -> list[Any]:
    return json.loads(runs.read_text())["cases"]


def test_training_computes_the_same_bits_as_python(node, runs) -> None:
    """Losses, weights, and names that Karpathy's model makes up; held-out losses but for sums."""
    expected = cases(runs)
    found = answers(node, runs, RUN, [*range(len(expected))])
    for number, (case, run) in enumerate(zip(expected, found, strict=True)):
        losses = [math.nan if loss is None else loss for loss in run["losses"]]
        if case["has_diverged"]:
            *before, _, last = losses  # Python also undoes the step before the failed one
            assert (before, math.isnan(last)) == (case["losses"], True), number
            continue
        assert losses == case["losses"], number
        assert run["weights"] == case["weights"], number
        assert run.get("names", []) == case["names"], number
        assert run.get("others", []) == case["others"], number
        assert run["held_out"].keys() == case["held_out"].keys(), number
        for step, loss in case["held_out"].items():
            assert math.isclose(run["held_out"][step], loss, rel_tol=1e-13), (number, step)
    names = json.loads((Path(__file__).parents[3] / "data/karpathy_seed42.json").read_text())
    assert found[0]["names"] == names["samples"]
    assert any(case["has_diverged"] for case in expected)
    assert sum(not case["has_diverged"] for case in expected) > N_MODELS / 2


def test_a_rewound_training_run_computes_the_same_bits(node, runs) -> None:
    expected = cases(runs)[2:]
    inputs = [[number, 5 + number % 40] for number in range(2, 2 + len(expected))]
    for case, (_, step), found in zip(
        expected, inputs, answers(node, runs, REWIND, inputs), strict=True
    ):
        for again in found:
            assert again["losses"] == case["losses"][step:]
            assert again["weights"] == case["weights"]


def test_random_numbers_equal_those_of_python(node, runs) -> None:
    """Normal draws may differ in the last bits of float64, and do not in float32."""
    code = """
    import { Random } from "./mersenne_twister.js";
    function answer([seed, n]) {
      const random = Random.seeded(made(all.cases[1]).model.memory, BigInt(seed));
      const order = Array.from({ length: n }, (_, i) => i);
      random.shuffle(order);
      const normal = order.map(() => random.gauss());
      const copy = random.copy();
      return [order, normal, order.map(() => random.random()), copy.gauss()];
    }
    """
    seeds = [0, 1, 42, 2**32 - 1, 2**32, 2**53 + 1, 2**63 - 1]
    found = answers(node, runs, code, [[str(seed), 1001] for seed in seeds])
    for seed, (order, normal, uniform, last) in zip(seeds, found, strict=True):
        rng, expected = random.Random(seed), list(range(1001))
        rng.shuffle(expected)
        assert order == expected
        draws = [rng.gauss(0, 1) for _ in order]
        np.testing.assert_allclose(normal, draws, rtol=1e-14)
        np.testing.assert_array_equal(np.float32(normal), np.float32(draws))
        spare = rng.gauss(0, 1)
        assert math.isclose(last, spare, rel_tol=1e-14)
        assert uniform == [rng.random() for _ in order]


def test_python_can_load_a_model_saved_in_the_page(node, runs, tmp_path) -> None:
    expected = cases(runs)
    numbers = [number for number, case in enumerate(expected) if not case["has_diverged"]]
    for number, (archive, weights) in zip(numbers, answers(node, runs, SAVE, numbers), strict=True):
        case, folder = expected[number], tmp_path / str(number)
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(archive))) as opened:
            assert opened.testzip() is None
            opened.extractall(folder)
        saved, newline = load(folder), set("\n" * (case["config"]["text"] == "lines"))
        vocab_size = saved.tokenizer.vocab_size
        assert asdict(saved.model) == {**case["model"], "vocab_size": vocab_size}
        assert saved.tokenizer.chars == tuple(sorted(set(case["text"]) - newline))
        rows = [row for matrix in saved.weights.values() for row in matrix]
        flat = np.array([x for row in rows for x in row], np.float32)
        assert base64.b64encode(flat.tobytes()).decode() == weights
        assert len(InferenceGpt(saved).generate(3)) == 3
