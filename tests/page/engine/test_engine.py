"""Tests that the page's JavaScript engine, run in Node, gives the Python library's results."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.long

N_MODELS = 20
JOB = ("drawn_models.py", N_MODELS)
CLOSE = 1e-5  # tolerance for numbers; texts must be equal
# Tolerance for the bits after a step. Adam's first step has the same size for every gradient, so
# rounding decides its direction if the gradient is nearly 0. Muon scales up small singular values
# and their rounding errors: 1e-8 in the gradients changes the bits by up to 3e-4.
CLOSE_AFTER = {"adamw": 1e-4, "muon": 1e-2}
CODE = """
import { Engine } from "./engine.js";
const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
function made({ facts, parts }) {
  const found = Object.entries(parts).map(([name, part]) => [name, bytes(part)]);
  return new Engine({ ...facts, parts: Object.fromEntries(found) });
}
const cases = (file) => JSON.parse(readFileSync(file, "utf8"));
/** Return a value, or the text of an answer in parts with the facts of the first part. */
async function whole(answer) {
  if (!answer?.[Symbol.asyncIterator]) return answer;
  let [found, text] = [null, ""];
  for await (const part of answer) {
    found ??= part;
    text += part.text;
  }
  return { ...found, text };
}
async function answered(engine, name, body) {
  try {
    return await whole(engine.answer(name, body));
  } catch (error) {
    if (error.constructor.name !== "EngineError") throw error;
    return { error: error.message };
  }
}
"""
ANSWERS = """
async function answer(file) {
  const all = [];
  for (const each of cases(file)) {
    const engine = made(each);
    const answers = [];
    for (const [name, body] of each.requests) answers.push(await answered(engine, name, body));
    all.push(answers);
  }
  return all;
}
"""


LONG = """
const LONG = { num_samples: 50, max_tokens: 16384, temperature: 3 };
async function answer(file) {
  const engine = cases(file).map(made).find((each) => TEST(each.answer("model")));
  const generate = (body, signal) => engine.answer("generate", body, signal);
  BODY
}
"""


def comparable(answer: Any) -> Any:
    """Return an answer without the numbers that are determined by rounding errors."""
    if isinstance(answer, dict) and answer.get("backward"):
        # If a gradient is nearly 0, rounding errors determine the sign of Adam's first step.
        weight = answer["backward"]["weight"]
        pairs = zip(weight["gradients"], weight.pop("moves"), strict=True)
        weight["moves"] = [[_clear(*one) for one in zip(*rows, strict=True)] for rows in pairs]
        weight["move"] = _clear(weight["gradient"], weight["move"])
        if weight["matrix"] in ("wte", "wpe"):  # embeddings are looked up, not multiplied
            weight.pop("factors")
        step = answer["backward"]
        step["bits_after"] = {step["optimizer"]: step["bits_after"]}
    return answer


def _clear(gradient: float, move: float) -> float | None:
    """Return the rounded change of a weight, or None if its gradient is nearly 0."""
    return None if abs(gradient) < 1e-5 else round(move, 6)


def differences(expected: Any, found: Any, scale: float, place: str = "") -> list[str]:
    """Return the places at which two answers differ by more than the tolerance."""
    if isinstance(expected, dict) and isinstance(found, dict):
        names = expected.keys() | found.keys()
        pairs = [(name, expected.get(name), found.get(name)) for name in names]
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = list(zip(range(len(expected)), expected, found, strict=True))
        numbers = [abs(each) for each in expected if isinstance(each, float)]
        scale = max([scale, *numbers])
    elif isinstance(expected, float) and isinstance(found, float | int):
        _, is_after, optimizer = place.partition(".bits_after.")
        close = 10 * CLOSE if ".backward." in place else CLOSE  # gradients in float32 differ more
        close = CLOSE_AFTER[optimizer] if is_after else close
        is_close = math.isclose(expected, found, rel_tol=close, abs_tol=close * scale)
        return [] if is_close else [f"{place}: {expected} != {found}"]
    else:
        return [] if expected == found else [f"{place}: {expected} != {found}"]
    return [each for name, a, b in pairs for each in differences(a, b, scale, f"{place}.{name}")]


def test_javascript_answers_each_request_as_python_does(node, runs) -> None:
    (found,) = node(CODE + ANSWERS, [str(runs)])
    problems: list[str] = []
    n_texts = 0
    for number, (case, answers) in enumerate(zip(json.loads(runs.read_text()), found, strict=True)):
        for (name, body), wanted, answer in zip(
            case["requests"], case["answers"], answers, strict=True
        ):
            expected = comparable(wanted)
            n_texts += "samples" in expected
            problems += [
                f"model {number}, {name}: {each}\n  {str(body)[:300]}"
                for each in differences(expected, comparable(answer), 1.0)
            ]
    assert problems == [], "\n".join(problems[:20])
    assert n_texts > N_MODELS


def tried(node, runs: Path, test: str, body: str) -> Any:
    """Run the body of a JavaScript function on an engine with a model for which `test` is true."""
    (found,) = node(CODE + LONG.replace("TEST", test).replace("BODY", body), [str(runs)])
    return found


# Selects a large text model, which rarely finishes a text in the decoder's first slice (20 ms).
IS_TEXT = "(({ chat, characters, num_params: n }) => !chat && !characters && n > 15000)"


def test_aborted_requests_do_not_affect_the_next_request(node, runs) -> None:
    body = """
      const before = await generate({ num_samples: 3 });
      const running = new AbortController();
      const waiting = new AbortController();
      const first = generate(LONG, running.signal).catch((error) => error.name);
      const second = generate(LONG, waiting.signal).catch((error) => error.name);
      const third = generate({ num_samples: 3 });
      setTimeout(() => { waiting.abort(); running.abort(); });
      return [await first, await second, before, await third];
    """
    first, second, before, third = tried(node, runs, IS_TEXT, body)
    assert (first, second) == ("AbortError", "AbortError")
    assert third == before


def test_concurrent_requests_get_the_same_answers_as_single_requests(node, runs) -> None:
    body = """
      const bodies = [1, 2, 3, 4, 5].map((seed) => ({ ...LONG, max_tokens: 200, seed }));
      const together = await Promise.all(bodies.map((each) => generate(each)));
      const apart = [];
      for (const each of bodies) apart.push(await generate(each));
      return [together, apart];
    """
    together, apart = tried(node, runs, IS_TEXT, body)
    assert together == apart
    assert len({str(each) for each in apart}) == 5


def test_javascript_refuses_invalid_values_in_a_request(node, runs) -> None:
    refused = {
        "num_samples must be <= 50": {"num_samples": 51},
        "temperature must be ": {"temperature": -0.5},
        "seed must be ": {"seed": 0.5},
        "top_k must be ": {"top_k": 0},
        "layer must be at most ": {"without_heads": [[9, 0]]},
        "head must be at most ": {"without_heads": [[0, 9]]},
        "layer must be >= 0, got -1": {"without_mlps": [-1]},
        "the model has no matrix 'wxe'; it has wte, ": {"backward": ["wxe", 0, 0]},
        "row of wte must be at most ": {"backward": ["wte", 9999, 0]},
        "column of wte must be at most ": {"backward": ["wte", 0, 99]},
    }
    body = f"""
      const bodies = {json.dumps([*refused.values()])};
      const kind = (each) => (each.backward ? "explain" : "generate");
      return Promise.all(bodies.map((each) => answered(engine, kind(each), each)));
    """
    for problem, found in zip(refused, tried(node, runs, IS_TEXT, body), strict=True):
        assert found["error"].startswith(problem)
