"""What if, in Node: the figures of trainings in Python on changed documents."""

import json
import math
import statistics
from itertools import pairwise
from pathlib import Path

import pytest
from javascript import python_runs

from microgpt.data.documents import bundled, load_text

pytestmark = [pytest.mark.slow, pytest.mark.long]

N_CASES = 25
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


@pytest.fixture(scope="module")
def runs(kernels, tmp_path_factory) -> Path:
    """Runs of Python at the rounding of WebAssembly."""
    job = Path(__file__).with_name("what_if_runs.py")
    return python_runs(job, N_CASES, kernels, tmp_path_factory.mktemp("runs"))


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
    assert kinds == {"without", "with", "instead"}


NAMES = """
const namesOf = (text, config = {}) =>
  new WhatIf(file, text, { model: {}, config: { steps: 20, ...config }, validation: 0 });
async function path(whatIf, pattern, nTrainings) {
  const question = { wish: { kind: "without", pattern }, text: "emma", nTrainings };
  return (await last(whatIf.search(question), "search")).steps;
}
"""


def test_the_search_measures_each_half_like_a_comparison(node, runs) -> None:
    """And the path follows the half with the larger change, up to one document."""
    names = list(load_text(bundled("names.txt")))[:300]
    code = f"""{NAMES}
    async function answer([text, pattern, n]) {{
      const [whatIf, found] = [namesOf(text, {{ steps: 300 }}), []];
      const steps = await path(whatIf, pattern, n);
      let group = text.split("\\n").filter((name) => new RegExp(pattern, "u").test(name));
      for (const {{ parts, chosen }} of steps) {{
        const groups = parts.map(({{ nDocuments }}) => group.splice(0, nDocuments));
        for (const each of groups) {{
          const question = {{ text: "emma", nSeeds: 0, wish: {{ kind: "without" }} }};
          question.wish.pattern = `^(?:${{each.join("|")}})$`;
          const whole = namesOf(text, {{ steps: 300 }}).compare(question);
          found.push((await last(whole, "comparison")).text.change);
        }}
        found.push(group.length);
        group = groups[chosen];
      }}
      return [steps, found];
    }}
    """
    text = "\n".join(names)
    inputs = [[text, "^a", 99], [text, "^a", 7]]
    (whole, changes), (cut, _) = node.with_runs(runs, CODE + code, inputs)
    sizes = [[part["nDocuments"] for part in step["parts"]] for step in whole]
    n = sum(name.startswith("a") for name in names)
    assert n > 16
    assert (sum(sizes[0]), min(sizes[-1])) == (n, 1)
    steps = [[*(part["change"] for part in step["parts"]), 0] for step in whole]
    assert [x for step in steps for x in step] == changes
    for step, (small, large) in zip(whole[1:], sizes[1:], strict=True):
        assert sum(part["nDocuments"] for part in step["parts"]) == small + large
    for step in whole:
        sizes_of = [abs(part["change"]) for part in step["parts"]]
        assert step["chosen"] == sizes_of.index(max(sizes_of))
    for (earlier, later), step in zip(pairwise(sizes), whole, strict=False):
        assert sum(later) == earlier[step["chosen"]]
    assert cut == whole[:3]


def test_added_documents_are_searched_one_by_one(node, runs) -> None:
    """The change of each is that of a comparison with it alone."""
    code = f"""{NAMES}
    async function answer(names) {{
      const ask = (texts) => ({{ wish: {{ kind: "with", texts }}, text: "emma", nSeeds: 0 }});
      const question = {{ ...ask("anna\\nemma\\nmeme"), nTrainings: 9 }};
      const {{ steps }} = await last(namesOf(names).search(question), "search");
      const changes = ["anna", "emma", "meme"].map(async (each) => {{
        return (await last(namesOf(names).compare(ask(each)), "comparison")).text.change;
      }});
      return [steps[0].parts.map(({{ change }}) => change), await Promise.all(changes)];
    }}
    """
    names = "\n".join(list(load_text(bundled("names.txt")))[:100])
    ((found, expected),) = node.with_runs(runs, CODE + code, [names])
    assert found == expected
    assert min(found) < 0  # it is likelier if it was read


def test_each_problem_gets_a_one_sentence_error(node, runs) -> None:
    code = f"""{NAMES}
    async function answer([wish, text, config]) {{
      const question = {{ wish, text, nSeeds: 0 }};
      return last(namesOf("anna\\nemma\\nemma", config).compare(question), "comparison");
    }}
    """
    without, diverging = {"kind": "without", "pattern": "^emm"}, {"lr": 1e30, "steps": 100}
    wanted = {
        "'(' is not a regular expression": [{"kind": "without", "pattern": "("}, "emma", {}],
        "none of the 3 training documents matches 'x'": [
            {"kind": "without", "pattern": "x"}, "emma", {},
        ],
        "all 3 training documents match 'a$'": [{"kind": "without", "pattern": "a$"}, "emma", {}],
        "running text, which has no documents": [without, "emma", {"text": "stream"}],
        "a training diverged": [without, "emma", diverging],
        "the training reads 2 documents, fewer than the 3 to add": [
            {"kind": "with", "texts": "a\nn\nm"}, "emma", {"steps": 2},
        ],
        "no training document is 'e'": [{"kind": "instead", "text": "e", "other": "a"}, "", {}],
    }  # fmt: skip
    results = node.with_runs(runs, CODE + code, [*wanted.values()])
    for message, found in zip(wanted, results, strict=True):
        assert message in found["error"]
