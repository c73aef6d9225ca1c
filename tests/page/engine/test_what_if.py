"""What if, in Node: the figures of trainings in Python on changed documents."""

import json
import math
import statistics

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long]

N_CASES = 25
JOB = ("what_if_runs.py", N_CASES)
CODE = """
import { WhatIf } from "./what_if.js";
const opened = (number, others = {}) => {
  const { text, settings } = all.cases[number];
  return new WhatIf(file, text, { ...settings, config: { ...settings.config, ...others } });
};
async function last(events, name) {
  let [found, first] = [null, null];
  for await (const event of events) {
    first ??= Object.keys(event)[0];
    found = event[name] ?? found;
  }
  return { ...found, first };
}
"""


def is_close(found: float, expected: float, tolerance: float = 1e-12) -> bool:
    return math.isclose(found, expected, rel_tol=tolerance)


def test_bits_and_spread_equal_those_of_training_in_python(node, runs) -> None:
    code = """
    const answer = async (number) => {
      const whatIf = opened(number);
      const { question } = all.cases[number];
      const ask = () => last(whatIf.compare(question), "comparison");
      return [await ask(), await ask()];
    };
    """
    cases = json.loads(runs.read_text())["cases"]
    results = node.with_runs(runs, CODE + code, [*range(N_CASES)])
    for number, (case, (found, again)) in enumerate(zip(cases, results, strict=True)):
        assert (found["nDocuments"], found["nRead"]) == (case["n"], case["n_read"]), number
        for i, name in enumerate(("before", "after")):
            got = [token[name] for token in found["tokens"]]
            for one, other in zip(got, case["bits"][i], strict=True):
                assert is_close(one, other), (number, name)
        totals = [math.fsum(each) for each in case["bits"]]
        for figure, (a, b, *others) in (("text", totals), ("documents", case["documents"])):
            for name, bits in (("before", a), ("after", b)):  # from losses in float32
                assert is_close(found[figure][name], bits, 1e-6), (number, figure)
            spread = statistics.stdev([a, *others])
            assert math.isclose(found[figure]["spread"], spread, rel_tol=1e-4), (number, figure)
        assert (found.pop("first"), again.pop("first")) == ("progress", "comparison"), number
        assert found == again, number
    kinds = {case["question"]["wish"]["kind"] for case in cases}
    assert kinds == {"without", "with"}


NAMES = """
const namesOf = (text, config = {}) =>
  new WhatIf(file, text, { model: {}, config: { steps: 20, ...config }, validation: 0 });
"""


def test_each_problem_gets_a_one_sentence_error(node, runs) -> None:
    code = f"""{NAMES}
    async function answer([wish, text, config]) {{
      const question = {{ wish, text, nSeeds: 0 }};
      return last(namesOf("anna\\nemma\\nemma", config).compare(question), "comparison");
    }}
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
