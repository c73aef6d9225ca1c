"""An n-gram model predicts the documents that teachers make up, if that lowers their loss."""

import random
from dataclasses import replace

import numpy as np
import pytest

from microgpt import InferenceGpt, ModelConfig, TrainConfig
from microgpt.data.ngram_model import NgramModel
from microgpt.data.split import Split, split
from microgpt.state import TrainingPlan
from microgpt.training import distillation
from microgpt.training.distillation import NGRAM_WEIGHTS, Teachers, best_weight
from microgpt.training.train import train as train_model

RNG = random.Random(3)
SYLLABLES = ["ka", "mi", "to", "ren", "sul", "vo"]
WORDS = ["".join(RNG.choices(SYLLABLES, k=RNG.randint(1, 4))) for _ in range(150)]
PARTS = split(WORDS, validation=0.2)
MODEL = ModelConfig(n_embd=8, n_head=2, block_size=16, n_layer=1)
CONFIG = TrainConfig(steps=300, batch_size=8, lr=0.01, seed=2)


@pytest.fixture(scope="module")
def teacher():
    return train_model(PARTS.train, model=MODEL, config=CONFIG)


def chunked(parts: Split, teacher):
    return parts.chunked(teacher.tokenizer, MODEL.block_size, CONFIG)


def encoded(docs, teacher):
    chunks = replace(chunked(PARTS, teacher), docs=docs)
    return chunks.encode(range(len(chunks)))


def test_ngrams_change_only_the_targets_of_generated_documents(teacher) -> None:
    chunks = chunked(PARTS, teacher)
    model = replace(MODEL, vocab_size=teacher.tokenizer.vocab_size)
    config = replace(CONFIG, engine="compiled", dtype="float32")
    plan = TrainingPlan(model, config, teacher.tokenizer, PARTS.facts)
    ngrams = NgramModel(chunks.encode(range(len(chunks))), model.vocab_size)
    alone, together = Teachers([teacher], 50), Teachers([teacher], 50)
    together.ngrams, together.ngram_weight = ngrams, 0.25
    plain, mixed = (each.dataset(chunks, plan, random.Random(2), 1) for each in (alone, together))
    assert list(map(list, plain)) == list(map(list, mixed))
    counted, row = ngrams.probabilities(mixed), 0
    texts = {tuple(doc) for doc in chunks.encode(range(len(chunks)))}
    kinds = set()
    for doc in mixed:
        rows = slice(row, row := row + len(doc) - 1)
        is_made_up = not np.array_equal(mixed.soft_targets[rows], plain.soft_targets[rows])
        share = 0.25 if is_made_up else 0.0
        expected = (1 - share) * plain.soft_targets[rows] + share * counted[rows]
        assert mixed.soft_targets[rows] == pytest.approx(expected, abs=1e-6)
        assert is_made_up or tuple(doc) in texts
        kinds.add(is_made_up)
    assert kinds == {True, False}


def test_the_chosen_ngram_weight_minimises_the_validation_loss(teacher, monkeypatch) -> None:
    monkeypatch.setattr(distillation, "MIN_GAIN", 0.0)
    monkeypatch.setattr(distillation, "MAX_NUMBERS", 500)  # a few documents at once
    tested, n = encoded(PARTS.validation, teacher), teacher.tokenizer.vocab_size
    ngrams = NgramModel(encoded(PARTS.train, teacher), n)
    predictor = InferenceGpt(teacher)
    losses = dict.fromkeys(NGRAM_WEIGHTS, 0.0)
    for doc, counted in zip(tested, split_rows(ngrams.probabilities(tested), tested), strict=True):
        learned = np.exp([*predictor.log_probabilities(list(doc[:-1]))])
        for weight in NGRAM_WEIGHTS:
            mixed = (1 - weight) * np.array(learned) + weight * counted
            losses[weight] -= np.log(mixed[range(len(doc) - 1), doc[1:]]).sum()
    best = min(losses, key=losses.__getitem__)
    assert 0 < best < NGRAM_WEIGHTS[-1]
    assert best_weight(Teachers([teacher], 9), ngrams, tested) == best


def split_rows(rows, docs):
    """Yield the rows of each document."""
    ends = np.cumsum([len(doc) - 1 for doc in docs])
    return np.split(rows, ends[:-1])


def test_an_ngram_model_of_other_text_gets_a_weight_of_0(teacher) -> None:
    tested = encoded(PARTS.validation, teacher)
    n = teacher.tokenizer.vocab_size
    assert best_weight(Teachers([teacher], 9), NgramModel(tested, n), tested) == NGRAM_WEIGHTS[-1]
    other = NgramModel(encoded(["".join(RNG.choices("akmitorensulv", k=9))], teacher), n)
    assert best_weight(Teachers([teacher], 9), other, tested) == 0
