"""Solutions of the course pass their checks, and wrong ones get a message that names the place."""

import re

import pytest

from microgpt_course import exercises
from microgpt_course.checks import CHECKS, check
from microgpt_course.facts import Wrong

WRONG = [  # exercise, part of the solution, what a learner might write, what the message says
    ("01", "sorted(set(", "list(dict.fromkeys(", r"\.chars\[0\] is 'e'; it should be 'a'"),
    ("01", "return [self.bos, *", "return [*", r'encode.* is a list of 5; .*both ends'),
    ("02", "(other.data, self.data)", "(self.data, other.data)", r"\[0\] is 2.0.*exchanged"),
    ("02", "return Value(self.data * other", "Value(self.data * other", "None.*__mul__ return"),
    ("02", "n * self.data ** (n - 1)", "n * self.data", r"\*\* -0.5\).slopes\[0\] is -2.0"),
    ("03", "self.grad = 1.0", "pass", r"\(x \* y\).grad is 0.0; .*the result itself is 1"),
    ("03", "source.grad += slope", "source.grad = slope", r"x \* x, with x = 3, is 3.0; .*add up"),
    ("03", "slope * value.grad", "slope", "b in .* is 2.0; .*multiplied by the gradient"),
    ("03", "reversed(order)", "order", "b in .* is 0.0; .*begin with the res"),
    ("04", "exp(logit - largest)", "logit", r"softmax\(\[1.0, 2.0, 3.0\]\)\[0\] is 0.1666"),
    ("04", "power / total", "power", r"\[0\] is 0.135335.*Divide"),
    ("04", "-log(", "log(", "is -0.407606; .*minus sign"),
    ("05", "wpe[position]", "wpe[token]", r"embedding\(1, 0, .*\[0\] is 3.3; it should be 3.1"),
    ("05", "[t + p for t, p in zip(wte[token], wpe[position], strict=True)]",
     "wte[token] + wpe[position]", "a list of 6; it should be a list of 3"),
    ("06", " / len(x)", "", r"rmsnorm\(\[300.0, .*\[0\] is 0.6; .*the mean"),
    ("06", "(mean_square + 1e-5)", "float(mean_square + 1e-5)", "gradient of x.* ~ hide"),
    ("07", "keys.append(key)", "pass", "keys is a list of 2; .*Append the key"),
    ("07", " / len(query) ** 0.5", "", "attend.* is 1.06.*square root of the length"),
    ("07", "values.append(value)", "values.insert(0, value)", r"values\[0\]\[0\] is 0.0"),
    ("08", "relu(h)", "h", r"mlp\(...\)\[0\] is 1.0; .*hidden units"),
    ("08", "linear(hidden, fc2)", "[relu(n) for n in linear(hidden, fc2)]", "Only hid"),
    ("09", "x = add(x, attention(rmsnorm(x)))", "x = attention(rmsnorm(x))", r"\[0\] is 2; "),
    ("09", "attention(rmsnorm(x))", "attention(x)", r"attention reads\[0\]\[0\] is 3.0; .*rmsnorm"),
    ("10", "m_hat = self.m[i]", "m_hat = self.m[i] = self.m[i]", "after step 2.*without the corr"),
    ("10", "math.sqrt(v_hat)", "v_hat", r"after step 1 .*\[0\]"),
    ("11", "1 - step / steps", "1 - (step + 1) / steps", r"\(0, .*\) is 0.018; .* 0.02"),
    ("11", "(step + 1) / warmup", "step / warmup", r"\(0, .*warmup=4\) is 0.0; .*warm-up"),
    ("12", "(next_logits(tokens), temperature", "(next_logits(tokens), 0", "pass the t"),
    ("02", "(other.data, self.data))", "(other, self))", "plain numbers"),
    ("06", "return [number * scale for", "x[0] *= scale\n    return [number for", "changed a list"),
    ("12", "logit / temperature for", "logit * temperature for", r"temperature 0.5: draw\[\d+\]"),
    ("10", "beta1=0.85", "beta1=0.5", r"after step 2 of Adam\(3\).*the defaults"),
    ("10", "lr * m_hat", "0.01 * m_hat", "of Adam.*the given lr"),
    ("11", "(step + 1) / warmup", "(step + 1) / 4", "those that were given"),
    ("12", "return tokens[1:]", "return tokens", r"drawn tokens (is a list of 3|\[0\] is 0)"),
    ("12", "len(tokens) <= longest", "len(tokens) < longest", "longest=3.* is a list of 2"),
    ("12", "next_logits(tokens)", "next_logits(tokens[-1:])", r"reads\[1\] is a list of 1"),
]  # fmt: skip


def name_of(number: str) -> str:
    return exercises.find(number)


def first_problem(name: str, source: str) -> str:
    """Return the problem that a check finds in a solution, or the error that it raises."""
    namespace: dict[str, object] = {"__name__": name}
    try:
        exec(compile(source, f"{name}.py", "exec"), namespace)
        return next(filter(None, (fact.problem() for fact in check(name, namespace))), "")
    except (Exception, Wrong) as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("name", CHECKS)
def test_the_solution_passes_its_check(name: str) -> None:
    assert first_problem(name, exercises.solution(name)) == ""


@pytest.mark.parametrize("name", CHECKS)
def test_a_new_exercise_says_that_it_is_not_written_yet(name: str) -> None:
    assert "NotImplementedError" in first_problem(name, exercises.with_holes(name))


@pytest.mark.parametrize(("number", "right", "wrong", "message"), WRONG)
def test_a_wrong_solution_gets_a_message_that_names_the_place(
    number: str, right: str, wrong: str, message: str
) -> None:
    source = exercises.solution(name_of(number))
    assert right in source
    problem = first_problem(name_of(number), source.replace(right, wrong))
    assert re.search(message.replace(" ~ ", ".*"), problem), problem


@pytest.mark.parametrize("name", CHECKS)
def test_an_exercise_keeps_no_line_of_its_solution(name: str) -> None:
    text = exercises.with_holes(name)
    for hole in exercises.HOLE.finditer(exercises.solution(name)):
        assert hole[3].strip() not in text
    assert "End of your code" not in text


def test_each_exercise_has_hints_and_a_number() -> None:
    names = exercises.names()
    assert [int(name.split("_")[0]) for name in names] == list(range(1, len(names) + 1))
    assert all(exercises.hints(name) for name in names[:-1])
