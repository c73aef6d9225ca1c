"""Training without some documents is training with them, but for what is read."""

import random
from dataclasses import replace
from itertools import cycle, islice

import pytest

from microgpt import CharTokenizer, Message, ModelConfig, TrainConfig
from microgpt.data.contamination import trained_documents
from microgpt.data.split import DataFacts, split
from microgpt.data.token_dataset import TokenDataset
from microgpt.errors import ConfigError
from microgpt.model import init_weights, weight_shapes
from microgpt.reference import ReferenceEngine
from microgpt.training.distillation import Teachers
from microgpt.training.ngram_teacher import add_ngrams
from microgpt.training.options import TrainOptions
from microgpt.training.planning import plan_training
from microgpt.training.reading_order import reading_order
from microgpt.training.train import train as train_model

NAMES = ["anna", "emma", "ava", "mia", "emmy", "isabella", "lena", "noemmi"]
SMALL = ModelConfig(n_embd=4, n_head=2, block_size=10)
CONFIG = TrainConfig(steps=12)


@pytest.fixture
def weights(train):
    """The weights after a training, by the documents that it leaves out."""
    return lambda without, docs=NAMES, config=CONFIG: (
        train(docs, model=SMALL, config=config, without=without).weights
    )


@pytest.mark.parametrize("batch_size", [1, 3])
def test_leaving_documents_out_equals_removing_them_by_hand(train, batch_size) -> None:
    config = TrainConfig(steps=20, batch_size=batch_size)
    options = {"model": SMALL, "config": config, "dtype": "float64"}
    result = train(NAMES, without="^emm", **options)
    rng, tokenizer = random.Random(config.seed), CharTokenizer.from_documents(NAMES)
    order = [*NAMES]
    rng.shuffle(order)
    kept = cycle(tokenizer.encode_document(name) for name in order if name[:3] != "emm")
    model = replace(SMALL, vocab_size=tokenizer.vocab_size)
    engine = ReferenceEngine(model, init_weights(model, rng))
    for step in range(config.steps):
        lr = 0.01 * (1 - step / config.steps)
        loss = engine.step([*islice(kept, batch_size)], lr)
        assert result.losses[step] == pytest.approx(loss, abs=1e-12)
    trained = [w for name in weight_shapes(model) for row in result.weights[name] for w in row]
    assert trained == pytest.approx([each.data for each in engine.params], abs=1e-12)


@pytest.mark.parametrize("engine", ["compiled", "reference"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_the_remaining_documents_are_read_in_the_same_order(engine, shuffle) -> None:
    config, rngs = TrainConfig(steps=5, shuffle=shuffle), [random.Random(1) for _ in range(2)]
    every = reading_order(40, replace(config, steps=40), rngs[0], engine)
    kept = reading_order(40, config, rngs[1], engine, frozenset({*every[:3], every[20]}))
    assert [*kept] == [*every[3:8]]
    assert rngs[0].getstate() == rngs[1].getstate()


def test_leaving_out_documents_never_read_changes_nothing(weights, train) -> None:
    config = TrainConfig(steps=2)
    read = train(NAMES, model=SMALL, config=config, on_event=print).weights
    unread = [name for name in NAMES if weights(f"^{name}$", config=config) == read]
    assert len(unread) == len(NAMES) - 2
    assert weights("^emm") != weights(None)


def test_a_pattern_is_searched_for_in_every_message() -> None:
    hi, yo, bye = Message("user", "hi"), Message("assistant", "yo"), Message("assistant", "bye")
    parts = split([(hi, yo), (hi, bye)]).leave_out("^by")
    assert parts.left_out == [(hi, bye)]
    assert parts.read == [(hi, yo)]


def test_all_chunks_of_a_long_document_are_skipped() -> None:
    docs = ["abcabcabcabcabcabc", "ab", "cacacacacacacaca", "b"]
    chunks = (
        split(docs).leave_out("^ca").chunked(CharTokenizer.from_documents(docs), 4, TrainConfig())
    )
    read = [i for i in range(len(chunks)) if i not in chunks.skipped]
    alone = replace(chunks, docs=[docs[0], docs[1], docs[3]], left_out=frozenset())
    assert len(chunks.skipped) > 1
    assert [*chunks.encode(read)] == [*alone.encode(range(len(alone)))]


def test_held_out_documents_are_not_left_out() -> None:
    names = [f"{a}{b}{c}" for a in "abc" for b in "eio" for c in "lmn"]
    parts = split(names, validation=0.3)
    without = parts.leave_out("^a")
    assert without.validation == parts.validation
    assert any(name.startswith("a") for name in without.validation)
    assert not any(name.startswith("a") for name in without.read)
    assert without.train == parts.train


def test_left_out_documents_are_not_training_data(train) -> None:
    result = train(NAMES, model=SMALL, config=CONFIG, without="^emm")
    kept = [name for name in NAMES if not name.startswith("emm")]
    assert [*result.documents] == kept
    assert [*trained_documents(NAMES, result.trained_on)] == kept
    child = train(NAMES, parent=result, config=CONFIG)
    assert child.data.without is None  # each training says what it leaves out
    assert [*child.documents] == [*NAMES]


def test_left_out_documents_still_affect_the_settings() -> None:
    def plan(**options):
        return plan_training([*NAMES, "zzz"] * 3, TrainOptions(**options)).plan

    whole, part = plan(), plan(without="^z")
    assert part.tokenizer.chars == whole.tokenizer.chars
    data = replace(whole.data, without="^z")
    assert part == replace(whole, data=data, tokenizer=part.tokenizer)


def test_a_resumed_run_leaves_the_same_documents_out(train) -> None:
    options = {"model": SMALL, "config": CONFIG, "without": "^emm"}
    whole, half = train(NAMES, **options), train(NAMES, until=5, **options)
    assert train(NAMES, resume=half.state, **options).weights == whole.weights
    with pytest.raises(ConfigError, match="belongs to different documents"):
        train(NAMES, resume=half.state, model=SMALL, config=CONFIG)


def test_teachers_and_n_grams_exclude_left_out_documents() -> None:
    teacher = train_model(NAMES, model=SMALL, config=CONFIG)
    teachers = Teachers([teacher], n_samples=5)
    parts = split(NAMES).leave_out("^emm")
    chunks = parts.chunked(teacher.tokenizer, 10, CONFIG)
    plan = replace(teacher.plan, config=TrainConfig(steps=40))
    tokens = [*teachers.dataset(chunks, plan, random.Random(42), 1)]
    assert len(tokens) == len(NAMES) - 2 + 5
    assert [*teacher.tokenizer.encode_document("emma")] not in map(list, tokens)
    add_ngrams(teachers, chunks, chunks, 0.5)
    alone = Teachers([teacher], n_samples=5)
    add_ngrams(alone, replace(chunks, docs=parts.read, left_out=frozenset()), chunks, 0.5)
    test = TokenDataset()
    test.append(teacher.tokenizer.encode_document("emmy"))
    ours, theirs = (each.ngrams.target_probabilities(test) for each in (teachers, alone))
    assert ours.tolist() == theirs.tolist()


def test_a_varied_plan_differs_only_in_seed_and_read_documents() -> None:
    job = plan_training(NAMES, TrainOptions())
    varied = job.varied(seed=43, without="^emm")
    assert (varied.plan.seed, varied.plan.config.seed) == (43, 43)
    assert varied.parts.left_out == ["emma", "emmy"]
    assert replace(varied.plan, config=job.plan.config, data=job.plan.data) == job.plan


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(", "'\\(' is not a regular expression: missing \\)"),
        ("a{99999999999999999999}", "is not a regular expression: the repetition number"),
        ("(" * 5000, "is not a regular expression: maximum recursion"),
        ("(?u)(?a)", "is not a regular expression: ASCII and UNICODE flags"),
        ("(?\n", r"is not a regular expression: unknown extension \?\\n"),
        ("^emm|\udcff", "is not UTF-8 text"),
        ("[[z]zz", "is found in no training document"),  # of which Python warns
        ("zzz", "is found in no training document"),
        ("", "is found in every training document"),
    ],
)
def test_an_unusable_pattern_to_leave_out_is_refused(pattern, problem) -> None:
    with pytest.raises(ConfigError, match=problem):
        split(NAMES).leave_out(pattern)
    with pytest.raises(ConfigError, match=problem):
        plan_training(NAMES, TrainOptions(without=pattern))


def test_without_is_refused_for_running_text_and_few_questions() -> None:
    text = "It rained all day. " * 2000
    talks = [(Message("user", word), Message("assistant", "yes")) for word in NAMES]
    for docs, problem in ((text, "running text"), (talks, "for at most 200 questions")):
        with pytest.raises(ConfigError, match=problem):
            plan_training(docs, TrainOptions(without="a"))
    with pytest.raises(ConfigError, match="running text"):
        DataFacts(1, "0" * 64, 0.1, 0.0, "spread", 0, without="a")


def test_a_split_without_a_pattern_keeps_all_documents() -> None:
    parts = split(NAMES)
    assert (parts.read, parts.left_out, parts.leave_out(None)) == (parts.train, [], parts)
