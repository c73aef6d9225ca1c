"""Tests that "What if" in Node gives the results of single models trained on changed documents."""

import math
import random
import statistics
import string
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long]

N_CASES = 25
JOB = ("training_runs.py", 0)
CODE = """
import { WhatIf } from "./what_if.js";
async function last(events, name) {
  let [found, first] = [null, null];
  for await (const event of events) {
    first ??= Object.keys(event)[0];
    found = event[name] ?? found;
  }
  return { ...found, first };
}
"""
COMPARE = """
async function answer({ text, settings, wish, asked }) {
  const whatIf = new WhatIf(file, text, settings);
  const ask = () => whatIf.compare({ wish, text: asked, nSeeds: 2 });
  return [await last(ask(), "comparison"), await last(ask(), "comparison")];
}
"""
# JavaScript that trains models one by one; test_training.py tests that it agrees with Python.
TRAIN = """
import { countTargets } from "./dataset.js";
import { chunksOfDocument, dataOf } from "./documents.js";
import { explain } from "./explanation.js";
import { heldOutLoss } from "./evaluation.js";
import { Model } from "./model.js";
import { Trainer } from "./trainer.js";
import { untrained } from "./untrained_model.js";
const mean = (all) => all.reduce((sum, each) => sum + each, 0) / all.length;
function answer([{ text, settings, wish, asked }, seed, isChanged]) {
  const { model: shape, config, validation } = settings;
  const size = shape.block_size;
  const { tokenizer, documents, train } = dataOf(text, { text: "lines", validation, size });
  const chunksOf = (document) => chunksOfDocument(document, tokenizer, size);
  const added = wish.texts?.split("\\n") ?? [];
  const gone = documents.map((each) => wish.kind === "without" && each.startsWith(wish.start));
  const extra = isChanged ? added.flatMap(chunksOf) : [];
  const read = new Set();
  function reading(order) {
    const isLeft = ({ document }) => !(isChanged && gone[document]);
    const left = order.map((i) => train[i]).filter(isLeft);
    const n = Math.min(left.length + extra.length, config.steps * config.batch_size);
    const places = extra.map((_, j) => Math.floor(((2 * j + 1) * n) / (2 * extra.length)));
    for (const { document } of left.slice(0, n)) read.add(document);
    const place = (i) => (places.includes(i) ? extra[places.indexOf(i)] : left.shift());
    return Array.from({ length: n }, (_, i) => place(i));
  }
  const model = new Model(untrained(file, shape, tokenizer, "lines"));
  const trainer = new Trainer(model, { ...file.defaults.config, ...config, seed }, train, reading);
  while (trainer.nSteps < config.steps) trainer.run();
  model.setWeights(trainer.weights());
  const bits = (document) => chunksOf(document).reduce((sum, chunk) =>
    sum + (heldOutLoss(model, [chunk]) * countTargets(chunk)) / Math.LN2, 0);
  const tokens = [tokenizer.bos, ...tokenizer.encode(asked), tokenizer.bos];
  const { predictions } = explain(model, tokenizer, tokens, { top: 0, attention: [] }, true);
  const concerned = [...documents.filter((_, i) => gone[i]), ...added];
  return {
    tokens: predictions.map((each) => each.bits),
    text: bits(asked),
    documents: mean(concerned.map(bits)),
    n: concerned.length,
    nRead: documents.filter((_, i) => gone[i] && read.has(i)).length + added.length,
  };
}
"""


def drawn(number: int) -> dict[str, Any]:
    """Return texts, settings, a text to ask about, and the documents to leave out or to add."""
    rng = random.Random(number)
    chars = rng.sample(string.ascii_lowercase + "ж☃😀", rng.randint(3, 20))

    def texts(n: int) -> list[str]:
        return ["".join(rng.choices(chars, k=rng.randint(1, 60))) for _ in range(n)]

    lines, (asked, *new), n_head = texts(60), texts(6), rng.choice((1, 2))
    config = {"steps": rng.choice((15, 50)), "batch_size": rng.choice((3, 7, 40))}
    config |= {"optimizer": rng.choice(("adamw", "muon")), "shuffle": rng.random() < 0.8}
    config["seed"] = rng.randrange(2**40)
    shape = {"n_embd": 4 * n_head, "n_head": n_head, "block_size": rng.randint(20, 40)}
    wish = {"kind": "without", "start": lines[0][0]}
    if rng.random() < 0.5:
        wish = {"kind": "with", "texts": "\n".join(new)}
    return {
        "text": "\n".join([*lines, *lines[:5], *chars]),
        "settings": {"model": shape, "config": config, "validation": 0.3 * (number % 2)},
        "wish": wish,
        "asked": asked,
    }


def test_what_if_figures_equal_those_of_separate_training_runs(node, runs) -> None:
    cases = [drawn(number) for number in range(N_CASES)]
    results = node.with_runs(runs, CODE + COMPARE, cases)
    for number, (case, (found, _)) in enumerate(zip(cases, results, strict=True)):
        seed = case["settings"]["config"]["seed"]
        asked = [(seed, False), (seed, True), (seed + 1, False), (seed + 2, False)]
        trained = node.with_runs(runs, TRAIN, [[case, *each] for each in asked])
        before, after, *others = trained
        assert (found["nDocuments"], found["nRead"]) == (before["n"], before["nRead"]), number
        for name, one in (("before", before), ("after", after)):
            assert [token[name] for token in found["tokens"]] == one["tokens"], number
            for figure in ("text", "documents"):
                assert math.isclose(found[figure][name], one[figure], rel_tol=1e-6), number
        for figure in ("text", "documents"):
            spread = statistics.stdev(each[figure] for each in (before, *others))
            assert math.isclose(found[figure]["spread"], spread, rel_tol=1e-4), number
    assert {case["wish"]["kind"] for case in cases} == {"without", "with"}


def test_a_repeated_what_if_question_needs_no_further_training(node, runs) -> None:
    ((found, again),) = node.with_runs(runs, CODE + COMPARE, [drawn(0)])
    assert (found.pop("first"), again.pop("first")) == ("progress", "comparison")
    assert found == again


def test_what_if_explains_why_it_cannot_answer(node, runs) -> None:
    code = """
    async function answer([wish, text, config]) {
      const settings = { model: {}, config: { steps: 20, ...config }, validation: 0 };
      const whatIf = new WhatIf(file, "anna\\nemma\\nemma", settings);
      return last(whatIf.compare({ wish, text, nSeeds: 0 }), "comparison");
    }
    """
    without, diverging = {"kind": "without", "start": "emm"}, {"lr": 1e30, "steps": 100}
    wanted = {
        "none of the 3 training documents begins with '('": [
            {"kind": "without", "start": "("}, "emma", {},
        ],
        "all 3 training documents begin with ''": [{"kind": "without", "start": ""}, "emma", {}],
        "running text, which has no documents": [without, "emma", {"text": "stream"}],
        "a training diverged": [without, "emma", diverging],
        "the training reads 2 documents, fewer than the 3 to add": [
            {"kind": "with", "texts": "a\nn\nm"}, "emma", {"steps": 2},
        ],
    }  # fmt: skip
    results = node.with_runs(runs, CODE + code, [*wanted.values()])
    for message, found in zip(wanted, results, strict=True):
        assert message in found["error"]
