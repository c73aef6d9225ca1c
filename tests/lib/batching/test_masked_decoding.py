import json
import random
import re

import pytest

from microgpt import BpeTokenizer, InferenceGpt, Message, ModelConfig, Sampling, TrainConfig
from microgpt.batching.grammar import json_grammar, regex_grammar
from microgpt.batching.masked_decoding import decode_masked
from microgpt.errors import ConfigError, PromptError
from microgpt.sampling import Continuation, Job, sample
from microgpt.steps import finish
from microgpt.training.train import train

HOT = Sampling(3.0)
PERSON = {
    "type": "object",
    "properties": {"name": {"enum": ["ann", "bö"]}, "age": {"type": "integer", "maximum": 99}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def decoded(model: InferenceGpt, grammar: str, job: Job) -> list[Continuation]:
    return finish(decode_masked(model.compiled, model.tokenizer, grammar, job))


def texts_of(model: InferenceGpt, grammar: str, n: int, prompts=("",), **options) -> list[str]:
    job = model.text_job(n, prompts=prompts, sampling=HOT, **options)
    found = decoded(model, grammar, job)
    assert {one.finish_reason for one in found} == {"stop"}
    return [model.tokenizer.decode(one.tokens) for one in found]


@pytest.fixture(scope="module")
def bytewise() -> InferenceGpt:
    """A model of subword tokens that has learnt nothing, and knows all characters."""
    talk = (Message("user", "annä"), Message("assistant", "ann"))
    tokenizer = BpeTokenizer.from_documents([talk], vocab_size=264)
    shape, config = ModelConfig(block_size=128), TrainConfig(steps=1)
    return InferenceGpt(train([talk], model=shape, tokenizer=tokenizer, config=config))


@pytest.mark.parametrize("pattern", ["a{3}|emma", "[^e]{2,5}a", "(ni){0,3}v"])
def test_each_masked_text_matches_the_pattern(text, pattern) -> None:
    texts = texts_of(text, regex_grammar(pattern), 25, prompts=["", "a"])
    assert all(re.fullmatch(pattern, one) for one in texts)
    assert len(set(texts)) > 1


def test_masked_tokens_are_drawn_from_the_allowed_ones(text) -> None:
    words = ["anna", "anni", "mia", "v"]
    tokenizer, bos = text.tokenizer, text.tokenizer.bos_id
    for seed in range(40):
        (found,) = texts_of(text, regex_grammar("|".join(words)), 1, seed=seed)
        rng, expected = random.Random(seed), ""
        while True:
            logits = text.log_probabilities([bos, *tokenizer.encode(expected)])[-1]
            next_ones = {word[len(expected) :][:1] for word in words if word.startswith(expected)}
            allowed = {tokenizer.encode(one)[0] if one else bos for one in next_ones}
            forbidden = set(range(tokenizer.vocab_size)) - allowed
            token = sample(logits, sampling=HOT, rng=rng, forbidden=forbidden)
            if token == bos:
                break
            expected += tokenizer.decode([token])
        assert found == expected


def test_replies_fit_a_json_schema_whatever_the_pieces(bytewise) -> None:
    prompt = bytewise.chat_prompt([Message("user", "ann")])
    job = bytewise.reply_job(prompt, 20, sampling=HOT)
    found = decoded(bytewise, json_grammar(PERSON), job)
    people = [json.loads(bytewise.tokenizer.decode(one.tokens)) for one in found]
    assert {person["name"] for person in people} == {"ann", "bö"}
    assert all(isinstance(person["age"], int) and person["age"] <= 99 for person in people)


def test_a_masked_text_can_reach_the_maximum_number_of_tokens(text) -> None:
    job = text.text_job(prompts=["a"], sampling=HOT, max_tokens=50)
    (found,) = decoded(text, regex_grammar("[aeim]{60}"), job)
    assert (len(found.tokens), found.finish_reason) == (50, "length")


@pytest.mark.parametrize(
    "grammar", [regex_grammar("anx"), json_grammar({}), regex_grammar("a.{4}é")]
)
def test_a_grammar_beyond_the_vocabulary_is_an_error(text, grammar) -> None:
    with pytest.raises(PromptError, match="requires a character that is not in the vocabulary"):
        texts_of(text, grammar, 1)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"not": {}}, 'Unimplemented keys: \\["not"'),
        ({"properties": {"a": {"uniqueItems": True}}}, "uniqueItems"),
        ({"type": "strin"}, "Invalid type: strin"),
        ({"$ref": "http://host/x"}, "http://host/x"),
        ({"type": "string", "pattern": "(?=a)"}, "look-around"),
        ({"type": "string", "format": "odd"}, "Unknown format: odd"),
        ({"enum": []}, "Unsatisfiable schema"),
    ],
)
def test_an_unsupported_feature_of_a_schema_is_named(schema, message) -> None:
    with pytest.raises(ConfigError, match=f"^the JSON schema cannot be used: .*{message}"):
        json_grammar(schema)
