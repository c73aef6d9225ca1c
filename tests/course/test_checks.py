"""Tests that solutions of the course pass their checks, and that mistakes get a message."""

import json
import random
import re
from pathlib import Path
from runpy import run_path

import pytest

import microgpt
from microgpt import Gpt, ModelConfig, ReferenceEngine, init_weights
from microgpt_course import exercises
from microgpt_course.checking import CheckResult, compare, questions_of
from microgpt_course.learner_process import facts

CHECKED = [name for name in exercises.names() if exercises.check_lines(name)]
IN_TURN = """order, seen = [self], {self}
        for value in order:
            for source in value.inputs:
                if source not in seen:
                    seen.add(source)
                    order.append(source)
        order.reverse()"""
WRONG = [  # exercise, part of its solution, a mistake in its place, part of the message
    ("01", "sorted(set(", "list(dict.fromkeys(", r"\.chars\[0\] is 'e'; it should be 'a'"),
    ("01", "return [self.bos, *", "return [*", r'encode.* is a list of 5; .*both ends'),
    ("02", "(other.data, self.data)", "(self.data, other.data)", r"\[0\] is 2.0.*this order"),
    ("02", "return Value(self.data * other", "Value(self.data * other", "None.*`return` missing"),
    ("02", "n * self.data ** (n - 1)", "n * self.data", r"\*\* -0.5\).slopes\[0\] is -2.0"),
    ("02", "n * self.data ** (n - 1)", "n * abs(self.data) ** (n - 1)", "is 4.0; .*sign of x"),
    ("02", "(1.0, 1.0)", "(1.0, 2.0)", r"\(x \+ y\).slopes\[1\] is 2.0; .*__add__"),
    ("02", "(self,), (n", "(self), (n", r"2\).inputs is Value\(3.0\); .*a tuple of 1\. .*comma"),
    ("03", "self.grad = 1.0", "pass", r"result.grad is 0.0; .*the result itself"),
    ("03", "source.grad += slope", "source.grad = slope", "is 3.0; .*gives 6.0.*add up"),
    ("03", "slope * value.grad", "slope", "b.grad is 2.0; .*multiplied by the gradient"),
    ("03", "reversed(order)", "order", "b.grad is 0.0; .*from the result on"),
    ("03", "order = topological_order(self)", IN_TURN, "is 2.0; it should be 36.0"),
    ("04", "exp(logit - largest)", "logit", r"softmax\(\[1.0, 2.0, 3.0\]\)\[0\] is 0.1666"),
    ("04", "exp(logit - largest)", "exp(logit)", r"OverflowError.*1000.0\]\). Is the largest"),
    ("04", "power / total", "power", r"\[0\] is 0.135335.*divided"),
    ("04", "-log(", "log(", "is -0.407606; .*minus sign"),
    ("05", "wpe[position]", "wpe[token]", r"embedding\(1, 0, .*\[0\] is 3.3; it should be 3.1"),
    ("05", "[t + p for t, p in zip(wte[token], wpe[position], strict=True)]",
     "wte[token] + wpe[position]", "a list of 6; it should be a list of 3"),
    ("06", " / len(x)", "", r"rmsnorm\(\[3e6, .*\[0\] is 0.6; .*root of the mean \(not"),
    ("06", "+ 1e-5)", "+ 1)", r"rmsnorm\(\[3.0, .*The mean is right. Is 1e-5"),
    ("06", "+ 1e-5)", ")", "ZeroDivisionError.*The mean is right. Is 1e-5"),
    ("06", "(mean_square + 1e-5) ** -0.5", "1 / (mean_square**0.5 + 1e-5)", "The mean is right"),
    ("06", "(mean_square + 1e-5)", "float(mean_square + 1e-5)", "a.grad is .* hide"),
    ("07", "keys.append(key)", "pass", "keys is a list of 2; .*Is the key"),
    ("07", " / len(query) ** 0.5", "", "result.* is 1.06.*square root of the length"),
    ("07", "values.append(value)", "values.insert(0, value)", r"values\[0\]\[0\] is 0.0"),
    ("07", "len(query) ** 0.5", "2**0.5", "The length is 4"),
    ("08", "relu(h)", "h", r"mlp\(.*\[0\] is 1.0; .*each of the hidden units"),
    ("08", "[relu(h) for h in linear(x, fc1)]", "relu(linear(x, fc1))", "TypeError.*Is ReLU"),
    ("08", "linear(hidden, fc2)", "[relu(n) for n in linear(hidden, fc2)]", "units only"),
    ("09", "x = add(x, attention(rmsnorm(x)))", "x = attention(rmsnorm(x))", "is 2.0; .*added"),
    ("09", "attention(rmsnorm(x))", "attention(x)", r"read\[0\]\[0\] is 3.0; .*normalized"),
    ("10", "m_hat = self.m[i]", "m_hat = self.m[i] = self.m[i]", r"weights\[.*without the corr"),
    ("10", "math.sqrt(v_hat)", "v_hat", r"weights\[0\] is .*both means corrected"),
    ("10", "self.t += 1", "pass", "ZeroDivisionError.*Is t 1 in the first step"),
    ("10", "math.sqrt(v_hat) + self.eps", "math.sqrt(v_hat + self.eps)", "The means are right"),
    ("11", "1 - step / steps", "1 - (step + 1) / steps", r"\(0, .*\) is 0.018; .* 0.02"),
    ("11", "(step + 1) / warmup", "step / warmup", r"\(0, .*warmup=4\) is 0.0; .*warm-up"),
    ("12", "(next_logits(tokens), temperature", "(next_logits(tokens), 0", "pass the t"),
    ("02", "(other.data, self.data))", "(other, self))", r"is Value\(3.0\); .* gives 3.0"),
    ("06", "return [number * scale for", "x[0] *= scale\n    return [number for", "is"),
    ("12", "logit / temperature for", "logit * temperature for", r"range\(50\)\]\[\d+\] is"),
    ("10", "beta1=0.85", "beta1=0.5", r"weights\[0\] is .*the defaults"),
    ("10", "lr * m_hat", "0.01 * m_hat", "the given lr"),
    ("11", "(step + 1) / warmup", "(step + 1) / 4", "those that were given"),
    ("12", "return tokens[1:]", "return tokens", r"drawn (is a list of 3|\[0\] is 0)"),
    ("12", "len(tokens) <= longest", "len(tokens) < longest", "3 drawn.*|is a list of 2"),
    ("12", "next_logits(tokens)", "next_logits(tokens[-1:])", r"read.*\[1\] is a list of 1"),
    ("14", "weights[i] = 0.0", "weights[i - start] = 0.0", r"\[0\] is 0.0; it should be 1"),
    ("14", "number > 0", "number >= 0", "is 3; it should be 2"),
]  # fmt: skip
WORDS = re.compile(r"\w[\w.]*")


@pytest.fixture
def wrong(tmp_path: Path):
    """A function that returns the problem that a check finds in a file with the given text."""

    def problem(name: str, source: str) -> str:
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        found = CheckResult()
        reported = [json.dumps(fact).encode() for fact in facts(name, path)]
        compare(reported, questions_of(name), found)
        return found.wrong

    return problem


@pytest.mark.parametrize("name", CHECKED)
def test_the_solution_of_each_exercise_passes_its_check(wrong, name: str) -> None:
    assert wrong(name, exercises.solution(name)) == ""


@pytest.mark.parametrize("name", CHECKED)
def test_checking_a_new_exercise_says_that_its_code_is_missing(wrong, name: str) -> None:
    assert "`raise NotImplementedError` is still there" in wrong(name, exercises.with_holes(name))


@pytest.mark.parametrize(("number", "right", "written", "message"), WRONG)
def test_a_wrong_solution_is_explained_without_the_right_one(
    wrong, number: str, right: str, written: str, message: str
) -> None:
    name = exercises.find(number)
    source = exercises.solution(name)
    assert right in source
    problem = wrong(name, source.replace(right, written))
    assert re.search(message, problem), problem
    for hole in exercises.HOLE.finditer(source):
        for line in hole[3].splitlines():
            code = " ".join(WORDS.findall(line.partition("=")[2] or line))
            assert len(code) < 12 or code not in " ".join(WORDS.findall(problem)), "the solution"


@pytest.mark.parametrize("name", CHECKED)
def test_an_exercise_file_does_not_contain_its_solution(name: str) -> None:
    text = exercises.with_holes(name)
    for hole in exercises.HOLE.finditer(exercises.solution(name)):
        assert hole[3].strip() not in text
    assert "End of your code" not in text


def test_exercises_have_hints_and_consecutive_numbers() -> None:
    names = exercises.names()
    assert [int(name.split("_")[0]) for name in names] == list(range(1, len(names) + 1))
    assert all(exercises.hints(name) for name in names)


def test_solutions_4_to_11_give_the_same_results_as_the_library() -> None:
    """Checks compare a file with the solution; this test compares solutions with the library."""
    code = {}
    for name in exercises.names()[3:11]:
        code |= run_path(str(exercises.SOLUTIONS / f"{name}.py"))
    config = ModelConfig(n_embd=4, n_head=1, vocab_size=5)
    rng = random.Random(1)
    gpt = Gpt(config, init_weights(config, rng))
    weights, x = gpt.weights, [rng.gauss(0, 1) for _ in range(4)]
    assert code["softmax"](x) == microgpt.softmax(x)
    assert code["cross_entropy"](x, 2) == pytest.approx(microgpt.cross_entropy(x, 2))
    assert code["embedding"](1, 2, weights["wte"], weights["wpe"]) == gpt.embedding(1, 2)
    assert code["rmsnorm"](x) == microgpt.rmsnorm(x)
    cache, keys, values = gpt.new_cache(), [], []

    def attention(x):
        parts = [microgpt.linear(x, weights[f"layer0.attn_w{part}"]) for part in "qkv"]
        return microgpt.linear(code["attend"](*parts, keys, values), weights["layer0.attn_wo"])

    def mlp(x):
        return code["mlp"](x, weights["layer0.mlp_fc1"], weights["layer0.mlp_fc2"])

    for _ in range(3):
        assert code["block"](x, attention, mlp) == gpt.block(x, 0, cache)
    for warmup in (0, 4):
        schedule = microgpt.TrainConfig(lr=0.02, steps=10, warmup_steps=warmup)
        assert code["learning_rate"](3, 10, 0.02, warmup) == pytest.approx(schedule.lr_at(3))
    engine = ReferenceEngine(config, init_weights(config, rng))
    mine, moved = code["Adam"](2), [param.data for param in engine.params[:2]]
    for gradients in ([0.5, 1e-7], [0.1, -3.0]):
        moved = mine.step(moved, gradients, 0.1)
        engine.params[0].grad, engine.params[1].grad = gradients
        engine.update(0.1)
        assert moved == pytest.approx([param.data for param in engine.params[:2]], rel=1e-12)
