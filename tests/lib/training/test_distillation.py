import random
from dataclasses import replace

import numpy as np
import pytest

from microgpt import InferenceGpt, Message, ModelConfig, Sampling, TrainConfig
from microgpt.data.ngram_model import NgramModel
from microgpt.data.split import Split, split
from microgpt.errors import ConfigError
from microgpt.sampling import DecodeRules
from microgpt.training import distillation
from microgpt.training.distillation import NGRAM_WEIGHTS, Teachers, best_weight
from microgpt.training.train import train as train_model
from microgpt.training_state import TrainedModel, TrainingPlan

pytestmark = pytest.mark.compiled

NAMES = ["anna", "nana", "hannah", "noah", "ann", "hana", "annanannah"]
MODEL = ModelConfig(n_embd=8, n_head=2, block_size=6, n_layer=1)
CONFIG = TrainConfig(steps=12, batch_size=3, seed=5, dropout=0.2)
TALK = (Message("user", "ho"), Message("assistant", "an"))


@pytest.fixture(scope="module")
def teachers() -> list[TrainedModel]:
    """Three teachers of different shapes; the second has a longer context than the others."""
    shapes = [{}, {"block_size": 9}, {"n_embd": 4, "architecture": "modern"}]
    return [
        train_model(
            NAMES,
            model=replace(MODEL, **shape),
            config=TrainConfig(
                steps=60, batch_size=4, seed=seed, dtype="float64" if seed else "float32"
            ),
        )
        for seed, shape in enumerate(shapes)
    ]


@pytest.fixture(scope="module")
def talker() -> TrainedModel:
    return train_model([TALK], model=MODEL, config=TrainConfig(steps=9))


def plan_of(parts: Split, tokenizer, config: TrainConfig, model=MODEL) -> TrainingPlan:
    model = replace(model, vocab_size=tokenizer.vocab_size)
    config = replace(config, engine="compiled", dtype="float32")
    return TrainingPlan(model, config, tokenizer, parts.facts)


def dataset_of(teachers, n_samples, *, docs=NAMES, config=CONFIG, threads=1):
    """Return a student's dataset (document chunks, then samples) and its number of chunks."""
    parts, teachers = Split(docs, docs), Teachers(teachers, n_samples)
    plan = plan_of(parts, teachers.tokenizer, config)
    chunks = parts.chunked(plan.tokenizer, MODEL.block_size, config)
    return teachers.dataset(chunks, plan, random.Random(config.seed), threads), len(chunks)


def mean_probabilities(teachers, doc) -> np.ndarray:
    """Return the teachers' mean probabilities after each token of a document except the last."""
    return np.mean(
        [
            np.exp([*InferenceGpt(teacher).log_probabilities(list(doc[:-1]))])
            for teacher in teachers
        ],
        axis=0,
    )


def test_the_targets_of_a_student_are_its_teachers_mean_probabilities(teachers) -> None:
    dataset, n_chunks = dataset_of(teachers, 10)
    assert len(dataset) == n_chunks + 10
    for i, doc in enumerate(dataset):
        rows = [row or [0] for row in dataset.targets_of(i)]  # [0] stands for a masked prediction
        expected = mean_probabilities(teachers, doc)
        for row, wanted in zip(dataset.targets_of(i), expected, strict=True):
            assert row is None or row == pytest.approx(wanted.tolist(), abs=1e-6)
        assert any(len(row) > 1 for row in rows)


def test_the_teachers_take_turns_in_generating_samples(teachers) -> None:
    config = replace(CONFIG, shuffle=False, steps=100)
    dataset, n_chunks = dataset_of(teachers, 9, config=config)
    first, bos = random.Random(config.seed).getrandbits(62), 4
    for i in range(n_chunks, n_chunks + 9):
        teacher, rng = InferenceGpt(teachers[i % 3], engine="reference"), random.Random(first + i)
        rules = DecodeRules([bos], min_tokens=1, max_tokens=6, sampling=Sampling(1.0))
        tokens = list(teacher.engine_model.decode([bos], rules, rng))
        assert list(dataset[i]) == [bos, *tokens, *([bos] if len(tokens) < 6 else [])]


@pytest.mark.parametrize("n", [0, 7])
@pytest.mark.parametrize("docs", [NAMES, [TALK]], ids=["texts", "conversations"])
def test_student_losses_agree_across_engines_dtypes_and_threads(teachers, talker, docs, n) -> None:
    known = teachers if docs is NAMES else [talker]
    taught = Teachers(known, n if docs is NAMES else 0)
    settings = {"model": MODEL, "teachers": taught}
    config = replace(CONFIG, dtype="float64")
    results = [
        train_model(docs, **settings, config=config),
        train_model(docs, **settings, config=config, threads=2),
        train_model(docs, **settings, config=replace(config, engine="reference")),
        train_model(docs, **settings, config=replace(config, dtype="float32")),
    ]
    compiled, threaded, reference, rounded = results
    assert (threaded.losses, threaded.weights) == (compiled.losses, compiled.weights)
    assert reference.losses == pytest.approx(compiled.losses, rel=1e-12)
    assert rounded.losses == pytest.approx(compiled.losses, rel=1e-4)


def test_a_student_resumes_to_the_same_weights_and_losses(teachers) -> None:
    settings = {"model": MODEL, "config": CONFIG, "teachers": Teachers(teachers, 9)}
    whole = train_model(NAMES, **settings)
    part = train_model(NAMES, **settings | {"config": replace(CONFIG, until=5)})
    resumed = train_model(NAMES, **settings, resume=part.state)
    assert resumed.weights == whole.weights
    assert [*part.losses, *resumed.losses] == whole.losses


def test_a_students_held_out_losses_equal_those_from_evaluate(teachers) -> None:
    parts = Split(NAMES, NAMES[2:], NAMES[:1], NAMES[1:2])
    student = train_model(parts, model=MODEL, config=CONFIG, teachers=teachers)
    for docs, loss in ((NAMES[:1], student.val_loss), (NAMES[1:2], student.test_loss)):
        assert loss == pytest.approx(InferenceGpt(student).evaluate(docs).loss, rel=1e-5)


def test_a_student_inherits_its_teachers_tokenizer_and_shortest_context(teachers) -> None:
    student = train_model(["ann"], config=TrainConfig(steps=1), teachers=teachers[1:])
    assert student.tokenizer.chars == ("a", "h", "n", "o")
    assert student.model.block_size == 6


def test_a_student_that_is_fine_tuned_keeps_its_parents_shape(teachers) -> None:
    student = train_model(["ann"], config=CONFIG, teachers=teachers, parent=teachers[2])
    assert student.model == teachers[2].model


def test_incompatible_teachers_give_a_one_line_error(teachers, talker) -> None:
    other = train_model(["anb"], model=MODEL, config=TrainConfig(steps=1))
    longer = replace(MODEL, block_size=8)
    for docs, settings, problem in (
        (NAMES, {"teachers": [*teachers, other]}, r"teacher 4 \(4 tokens\) differs from"),
        (NAMES, {"teachers": teachers, "model": longer}, "context of teacher 1 .* at most 6$"),
        ([TALK], {"teachers": teachers}, "data are conversations; use chat models as teachers"),
        (["an"], {"teachers": [talker]}, "the data are texts; use text models as teachers"),
    ):
        with pytest.raises(ConfigError, match=problem) as error:
            train_model(docs, **{"model": MODEL, "config": CONFIG} | settings)
        assert "\n" not in str(error.value)


def test_teacher_predictions_that_exceed_the_free_memory_are_refused(teachers) -> None:
    config = TrainConfig(steps=2**30, batch_size=2**10)
    with pytest.raises(ConfigError, match=r"learning from teachers needs .* use a smaller"):
        train_model(NAMES, model=MODEL, config=config, teachers=Teachers(teachers, 2**30))


RNG = random.Random(3)
SYLLABLES = ["ka", "mi", "to", "ren", "sul", "vo"]
WORDS = ["".join(RNG.choices(SYLLABLES, k=RNG.randint(1, 4))) for _ in range(150)]
WORD_PARTS = split(WORDS, validation=0.2)
LONGER = replace(MODEL, block_size=16)
LEARNING = TrainConfig(steps=300, batch_size=8, lr=0.01, seed=2)


@pytest.fixture(scope="module")
def teacher():
    return train_model(WORD_PARTS.train, model=LONGER, config=LEARNING)


def chunked(parts: Split, teacher):
    return parts.chunked(teacher.tokenizer, LONGER.block_size, LEARNING)


def encoded(docs, teacher):
    chunks = replace(chunked(WORD_PARTS, teacher), docs=docs)
    return chunks.encode(range(len(chunks)))


def test_ngrams_change_only_the_targets_of_generated_documents(teacher) -> None:
    chunks = chunked(WORD_PARTS, teacher)
    config = replace(LEARNING, shuffle=False)
    plan = plan_of(WORD_PARTS, teacher.tokenizer, config, LONGER)
    ngrams = NgramModel(chunks.encode(range(len(chunks))), plan.model.vocab_size)
    alone, together = Teachers([teacher], 50), Teachers([teacher], 50)
    together.ngrams, together.ngram_weight = ngrams, 0.25
    plain, mixed = (each.dataset(chunks, plan, random.Random(2), 1) for each in (alone, together))
    assert list(map(list, plain)) == list(map(list, mixed))
    counted, row = ngrams.probabilities(mixed), 0
    assert len(mixed) == len(chunks) + 50  # the generated documents come last
    for i, doc in enumerate(mixed):
        rows = slice(row, row := row + len(doc) - 1)
        share = 0.25 if i >= len(chunks) else 0.0
        expected = (1 - share) * plain.soft_targets[rows] + share * counted[rows]
        assert mixed.soft_targets[rows] == pytest.approx(expected, abs=1e-6)


def test_the_chosen_ngram_weight_minimises_the_validation_loss(teacher, monkeypatch) -> None:
    monkeypatch.setattr(distillation, "MIN_GAIN", 0.0)
    monkeypatch.setattr(distillation, "MAX_NUMBERS", 500)  # so that several batches are needed
    tested, n = encoded(WORD_PARTS.validation, teacher), teacher.tokenizer.vocab_size
    ngrams = NgramModel(encoded(WORD_PARTS.train, teacher), n)
    predictor = InferenceGpt(teacher)
    losses = dict.fromkeys(NGRAM_WEIGHTS, 0.0)
    ends = np.cumsum([len(doc) - 1 for doc in tested])
    rows = np.split(ngrams.probabilities(tested), ends[:-1])
    for doc, counted in zip(tested, rows, strict=True):
        learned = np.exp([*predictor.log_probabilities(list(doc[:-1]))])
        for weight in NGRAM_WEIGHTS:
            mixed = (1 - weight) * np.array(learned) + weight * counted
            losses[weight] -= np.log(mixed[range(len(doc) - 1), doc[1:]]).sum()
    best = min(losses, key=losses.__getitem__)
    assert 0 < best < NGRAM_WEIGHTS[-1]
    assert best_weight(Teachers([teacher], 9), ngrams, tested) == best


def test_ngram_weight_is_highest_for_seen_and_0_for_other_text(teacher) -> None:
    tested = encoded(WORD_PARTS.validation, teacher)
    n = teacher.tokenizer.vocab_size
    assert best_weight(Teachers([teacher], 9), NgramModel(tested, n), tested) == NGRAM_WEIGHTS[-1]
    other = NgramModel(encoded(["".join(RNG.choices("akmitorensulv", k=9))], teacher), n)
    assert best_weight(Teachers([teacher], 9), other, tested) == 0
