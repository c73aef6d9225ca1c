import math
import random
import re
import sys

import pytest

from microgpt import BpeTokenizer, InferenceGpt, ModelConfig, Sampling, TrainConfig
from microgpt.batching import grammar, text_conditions
from microgpt.batching.text_conditions import TextConditions, TextFilter
from microgpt.engine.decoding import decoder
from microgpt.errors import ConfigError, PromptError
from microgpt.sampling import DecodeRules
from microgpt.training.train import train

HOT = Sampling(2.0)
CASES = [
    (TextConditions(), ".*"),
    (TextConditions(starts="a"), "a.*"),
    (TextConditions(ends="na", min_length=3), ".+na"),
    (TextConditions(max_length=2), ".{0,2}"),
    (TextConditions(matches=".*m.*a"), ".*m.*a"),
    (TextConditions("[^m]*", starts="a", ends="a", max_length=6), "a|a[^m]{0,4}a"),
]


def free_texts(model: InferenceGpt, n: int, **options) -> list[str]:
    return list(model.samples(n, sampling=HOT, **options))


def matching(model: InferenceGpt, conditions: TextConditions, **options) -> list[str]:
    return list(model.samples(sampling=HOT, conditions=conditions, **options))


@pytest.fixture(scope="module")
def subword() -> InferenceGpt:
    docs = ["käse kaufen", "brot kaufen", "käse essen"]
    tokenizer = BpeTokenizer.from_documents(docs, vocab_size=280)
    config = TrainConfig(steps=30)
    return InferenceGpt(train(docs, model=ModelConfig(), tokenizer=tokenizer, config=config))


@pytest.mark.parametrize(("conditions", "pattern"), CASES)
@pytest.mark.parametrize("options", [{}, {"prompt": "a"}, {"threads": 2}, {"stop": ["v", "ie"]}])
def test_matching_texts_are_the_free_texts_that_match(text, conditions, pattern, options) -> None:
    expected = [one for one in free_texts(text, 3000, **options) if re.fullmatch(pattern, one)]
    assert expected
    found = matching(text, conditions, num_samples=len(expected), **options)
    assert found == expected


def test_a_given_generator_draws_the_texts_that_are_accepted(text) -> None:
    expected = [one for one in free_texts(text, 200, rng=random.Random(5)) if one.endswith("a")]
    wanted = {"num_samples": len(expected), "rng": random.Random(5)}
    assert matching(text, TextConditions(ends="a"), **wanted) == expected


def test_both_engines_find_the_same_matching_texts(text, text_result) -> None:
    scalar = InferenceGpt(text_result, engine="reference")
    conditions = TextConditions(".*n.*", ends="a")
    assert matching(scalar, conditions, num_samples=3) == matching(text, conditions, num_samples=3)


@pytest.mark.parametrize("pattern", [".*ä.*", "(?i)K.{3,9}", "(?s)[^ e]*"])
def test_a_pattern_holds_for_the_text_of_subword_tokens(subword, pattern) -> None:
    expected = [one for one in free_texts(subword, 1500) if re.fullmatch(pattern, one)]
    assert matching(subword, TextConditions(pattern), num_samples=len(expected)) == expected


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"matches": "", "starts": "a"}, "no text can match"),
        ({"matches": "(a"}, r"invalid pattern '\(a': unclosed group"),
        ({"matches": "(?=a)a"}, "look-around, including look-ahead and look-behind, is not"),
        ({"matches": r"(a)\1"}, "backreferences are not supported"),
        ({"matches": "a\\"}, "it ends with a backslash"),
        ({"matches": "é+"}, "no text can match: the conditions contradict"),
        ({"matches": "a{4,}", "max_length": 3}, "no text can match"),
        ({"matches": "m.*", "starts": "a"}, "no text can match"),
        ({"matches": "a.{90}"}, "no text can match"),
        ({"min_length": 3, "max_length": 2}, "min_length must be <= max_length, 2, got 3"),
        ({"min_length": 90}, "no text can match"),
        ({"ends": "anna", "max_length": 3}, "no text can match"),
        ({"starts": "É"}, "no text can match: the vocabulary does not contain 'É'"),
        ({"starts": "\udcff"}, "no text can match"),
        ({"matches": "\udcff"}, "it is not valid Unicode"),
        ({"max_length": -1}, "max_length must be >= 0, got -1"),
    ],
)
def test_conditions_that_no_text_can_meet_are_refused(text, conditions, message) -> None:
    with pytest.raises(ConfigError, match=message):
        text.generate(conditions=TextConditions(**conditions))


def test_a_prompt_that_contradicts_the_conditions_is_refused(text) -> None:
    for conditions in (TextConditions(starts="m"), TextConditions("m.*"), TextConditions("a")):
        with pytest.raises(ConfigError, match="no text can match"):
            text.generate(prompt="an", conditions=conditions)


def test_the_error_for_rare_matches_has_the_acceptance_rate(text, monkeypatch) -> None:
    monkeypatch.setattr(text_conditions, "MAX_WORK", 10**8)
    with pytest.raises(PromptError, match=r"0 of [\d,]+ \(acceptance rate below 0.00"):
        text.generate(conditions=TextConditions("(mi){7}"))
    wanted = TextFilter(TextConditions(ends="a"), text.tokenizer, "", 16, 0)
    assert wanted.accepted(["anna", "emm", "a"]) == ["anna", "a"]
    with pytest.raises(PromptError, match=r"2 of 2,003 \(acceptance rate 0.001\)"):
        wanted.accepted(["emm"] * 2000)


def test_greedy_texts_that_do_not_match_are_tried_once(text) -> None:
    with pytest.raises(PromptError, match="0 of 64 "):
        text.generate(temperature=0, conditions=TextConditions(starts="vv"))


def test_a_pattern_whose_automaton_grows_too_large_is_an_error(text, monkeypatch) -> None:
    monkeypatch.setattr(grammar, "MAX_AUTOMATON", 3000)
    with pytest.raises(ConfigError, match="the pattern is too complex"):
        matching(text, TextConditions("(a|.)*a.{9}|.*v"), num_samples=3000)


def test_only_patterns_need_the_extra(text, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    assert text.generate(3, conditions=TextConditions(starts="a"))
    with pytest.raises(ConfigError, match=r"extra .*pip install 'microgpt-lib\[patterns\]'"):
        text.generate(conditions=TextConditions("a.*"))


def test_a_sequence_ends_when_its_text_can_no_longer_match(text, monkeypatch) -> None:
    monkeypatch.setattr(decoder, "CHECK_S", 0)  # check after each step
    monkeypatch.setattr(decoder, "WORK_5_MS", 0)
    rules = DecodeRules(max_tokens=400, may_continue=lambda tokens: len(tokens) < 20)
    found = list(text.compiled.decode_many([[text.tokenizer.bos_id]] * 3, range(3), rules))
    assert [20 <= len(tokens) < 25 for tokens in found] == [True] * 3


@pytest.mark.slow
def test_matches_have_the_conditional_distribution_of_the_model(text) -> None:
    every = ["ia", *(f"i{letter}a" for letter in text.tokenizer.chars)]
    weights = [_probability(text, one) for one in every]
    assert sum(weights) < 0.03
    n = 20_000
    drawn = text.generate(n, temperature=1, conditions=TextConditions("i.?a"))
    expected = [n * weight / sum(weights) for weight in weights]
    observed = [drawn.count(one) for one in every]
    assert sum(observed) == n
    chi_square = sum((o - e) ** 2 / e for o, e in zip(observed, expected, strict=True))
    assert chi_square < 22.5  # exceeded with probability 0.001 at 6 degrees of freedom


def _probability(model: InferenceGpt, text: str) -> float:
    tokens = model.tokenizer.encode_document(text)
    rows = model.log_probabilities(tokens[:-1])
    return math.exp(sum(row[token] for row, token in zip(rows, tokens[1:], strict=True)))
