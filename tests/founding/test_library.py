"""The library: automatic differentiation from scratch, Karpathy's algorithm, generation."""

import hashlib
import math
import operator
import random
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from microgpt import InferenceGpt, Value, train

ROOT = Path(__file__).resolve().parents[2]
START = 26  # the token after the letters a to z: each document begins and ends with it
VOWELS = {0, 4, 8, 14, 20, 24}

OPERATIONS = {
    "a + b": (lambda a, b: a + b, 5, 1, 1),
    "a - b": (lambda a, b: a - b, -1, 1, -1),
    "a * b": (lambda a, b: a * b, 6, 3, 2),
    "a / b": (lambda a, b: a / b, 2 / 3, 1 / 3, -2 / 9),
    "-a": (lambda a, b: -a, -2, -1, 0),
    "a ** 3": (lambda a, b: a**3, 8, 12, 0),
    "exp": (lambda a, b: a.exp(), math.exp(2), math.exp(2), 0),
    "log": (lambda a, b: a.log(), math.log(2), 0.5, 0),
    "relu": (lambda a, b: (a - b).relu() + a.relu(), 2, 1, 0),
}


# S0.22, S1.18, S1.20, S1.21, S1.23, S2.2, S2.3, S2.4, S3.12
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_has_its_local_gradients(name: str) -> None:
    operation, data, grad_a, grad_b = OPERATIONS[name]
    a, b = Value(2.0), Value(3.0)
    result = operation(a, b)
    result.backward()
    assert result.data == pytest.approx(data)
    assert (a.grad, b.grad) == pytest.approx((grad_a, grad_b))


# S1.22, S2.5
@pytest.mark.parametrize("apply", [operator.add, operator.sub, operator.mul, operator.truediv])
def test_a_number_on_either_side_is_as_a_value(apply: Callable) -> None:
    for number_first in (False, True):
        found = []
        for three in (3.0, Value(3.0)):
            a = Value(2.0)
            result = apply(three, a) if number_first else apply(a, three)
            result.backward()
            found.append((result.data, a.grad))
        assert found[0] == found[1]


# S1.18, S2.2: data, gradient, history
def test_a_value_has_its_data_its_gradient_and_its_history() -> None:
    a, b = Value(2.0), Value(3.0)
    c = a * b + a
    c.backward()
    assert (c.data, c.grad, a.grad, b.grad) == (8.0, 1.0, 4.0, 2.0)


# S0.21, S4.15: nodes have many owners, and no depth is too deep
def test_one_value_may_be_used_a_hundred_thousand_times() -> None:
    x = Value(1.0)
    y = x
    for _ in range(100_000):
        y = y + x
    y.backward()
    assert (y.data, x.grad) == (100_001.0, 100_001.0)


# S4.6, S4.15: without a topological order, b would pass on half of its gradient
def test_backward_goes_through_the_graph_in_topological_order() -> None:
    a = Value(3.0)
    b = a * a
    c = b + b * b + b
    c.backward()
    assert (c.data, b.grad, a.grad) == (99.0, 20.0, 120.0)


# S1.19, S2.6, S3.14, S3.21
def test_gradients_agree_with_finite_differences() -> None:
    def loss(x: Value, y: Value) -> Value:
        odds = (x * y - y.exp() / x + 2).relu() + (x**2 + y**2 + 1e-5) ** -0.5
        return -(odds / (odds + x.exp())).log()

    h, at = 1e-6, (1.3, 0.4)
    inputs = [Value(number) for number in at]
    loss(*inputs).backward()
    for i, value in enumerate(inputs):
        ends = [[n + sign * h * (i == j) for j, n in enumerate(at)] for sign in (1, -1)]
        above, below = (loss(*map(Value, end)).data for end in ends)
        assert value.grad == pytest.approx((above - below) / (2 * h), abs=1e-7)


# S0.14, S1.40, S4.13, S4.28
def test_the_training_data_are_the_names_of_makemore() -> None:
    content = (ROOT / "data" / "names.txt").read_bytes()
    assert hashlib.sha256(content).hexdigest().startswith("0a30b555")
    assert len(content.split()) == 32_033


# S1.45, S2.27
def test_the_readme_credits_karpathy() -> None:
    assert "karpathy.github.io" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def gpt() -> InferenceGpt:
    """The model of the names, trained with the default settings."""
    return InferenceGpt(train((ROOT / "data" / "names.txt").read_text("utf-8").split()))


def continued(gpt: InferenceGpt, *prompt: int, seed: int = 42) -> list[int]:
    return list(gpt.generate_from_prompt(prompt, stop={START}, rng=random.Random(seed)))


# S4.25
def test_generation_from_a_prompt_ends_before_the_stop_token(gpt) -> None:
    names = [continued(gpt, START, 10, 0, seed=seed) for seed in range(50)]
    assert all(0 <= token < START for name in names for token in name)
    assert max(map(len, names)) <= 16
    assert len(set(map(tuple, names))) > 10
    any_token = set(range(START + 1))
    assert list(gpt.generate_from_prompt([START], stop=any_token, rng=random.Random(42))) == []


# S4.25: the cache holds the prompt
def test_generation_from_a_prompt_reads_the_prompt(gpt) -> None:
    after_m, after_a = (
        [(continued(gpt, START, letter, seed=seed) or [START])[0] for seed in range(100)]
        for letter in (12, 0)
    )
    assert sum(token in VOWELS for token in after_m) > 80
    assert sum(token in VOWELS for token in after_a) < 20


# S4.8, S4.17
def test_threads_share_a_model_for_inference(gpt) -> None:
    def sample(_: int) -> list[list[int]]:
        return [continued(gpt, START, seed=seed) for seed in range(20)]

    with ThreadPoolExecutor(8) as threads:
        first, *others = threads.map(sample, range(8))
    assert all(other == first for other in others)


# S1.6, S1.44, S2.10, S4.1, S4.19
def test_training_needs_no_machine_learning_framework() -> None:
    code = (
        "import sys; from microgpt import InferenceGpt, train\n"
        "gpt = InferenceGpt(train(open('data/names.txt').read().split()))\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    frameworks = {"torch", "jax", "tensorflow", "keras", "sklearn", "transformers", "flax", "mlx"}
    assert not frameworks & set(done.stdout.split())


# S2.1, S2.10, S3.24, S4.2
@pytest.mark.slow
@pytest.mark.long
def test_the_algorithm_on_one_page_makes_the_run(transcript, tmp_path) -> None:
    script = ROOT / "examples" / "karpathy.py"
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 240
    standard_library_alone = [sys.executable, "-I", "-S", script]
    done = subprocess.run(standard_library_alone, cwd=tmp_path, capture_output=True, check=True)
    printed = [line for line in done.stdout.decode().splitlines() if line]  # also at each \r
    assert printed[:3] + printed[-22:] == [line for line in transcript.splitlines() if line]
