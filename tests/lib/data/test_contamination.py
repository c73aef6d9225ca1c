import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt import Message
from microgpt.data.contamination import (
    Bounds,
    bounds_of,
    contamination,
    other_data,
    recorded_facts,
    trained_share,
)
from microgpt.data.folding import FoldingTokenizer
from microgpt.data.split import DataFacts, Split, split, split_stream
from microgpt.data.tokenizer import CharTokenizer

DOCS = ["".join(letters) for letters in itertools.product("abcdef", repeat=4)]
TALKS = [(Message("user", doc), Message("assistant", "yes")) for doc in DOCS]
TEXT = "".join(map(chr, range(0x10000, 0x30000)))  # each character once
CLEAN, UNKNOWN, READ = Bounds(0.0, 0.0), Bounds(0.0, 1.0), Bounds(1.0, 1.0)


def test_held_out_data_without_ancestors_is_not_contaminated() -> None:
    assert contamination(split(DOCS, validation=0.1), ()) == {}


def test_case_variants_count_if_the_tokenizer_folds_case() -> None:
    capitals = [(Message("user", talk[0].content.upper()), talk[1]) for talk in TALKS]
    parts = split([*TALKS, *capitals], validation=0.1)
    trained = {talk[0].content.lower() for talk in parts.train}
    n_known = sum(talk[0].content.lower() in trained for talk in parts.validation)
    share = n_known / len(parts.validation)
    folding = FoldingTokenizer.from_documents(TALKS)
    assert 0.8 < share < 1
    assert contamination(parts, (), folding) == {"validation": Bounds(share, share)}
    assert contamination(parts, (), CharTokenizer.from_documents(parts.docs)) == {}
    assert contamination(split(TALKS, validation=0.1), (), folding) == {}


@pytest.mark.parametrize("docs", [DOCS, TALKS])
def test_documents_that_an_ancestor_trained_on_are_contaminated(docs) -> None:
    parent = split(docs, validation=0.05, test=0.1)
    child = split(docs, validation=0.2, test=0.1)
    read = set(parent.train)
    share = sum(doc in read for doc in child.validation) / len(child.validation)
    assert 0.5 < share < 1
    found = contamination(child, [parent.facts])
    assert found == {"validation": Bounds(share, share), "test": CLEAN}
    assert contamination(parent, [parent.facts]) == {"validation": CLEAN, "test": CLEAN}
    assert contamination(child, [split(docs).facts]) == {"validation": READ, "test": READ}


def test_contamination_by_two_ancestors_is_given_as_bounds() -> None:
    child = split(DOCS, validation=0.2, test=0.2)
    facts = [split(DOCS, validation=0.2).facts, split(DOCS, test=0.2).facts]
    assert contamination(child, facts[:1]) == {"validation": CLEAN, "test": READ}
    assert contamination(child, facts) == {"validation": READ, "test": READ}
    two = [replace(facts[0], val_fraction=share) for share in (0.05, 0.1)]
    one, other = (contamination(child, [each])["validation"].low for each in two)
    assert contamination(child, two)["validation"] == Bounds(max(one, other), 1.0)
    assert one + other > 1


FRACTIONS = st.sampled_from([(0.0, 0.0), (0.1, 0.1), (0.2, 0.1), (0.1, 0.3), (0.3, 0.0)])
WAYS = st.tuples(FRACTIONS, st.sampled_from([0, 50, 256]))
ONCE = TEXT[:40_000]  # each character once


def divided(data: str | list[str], way) -> Split:
    (validation, test), gap = way
    if isinstance(data, str):
        return split_stream(data, validation=validation, test=test, gap=gap)
    return split(data, validation=validation, test=test)


@settings(max_examples=60, deadline=None)
@given(
    ancestors=st.lists(WAYS, min_size=1, max_size=3), own=WAYS, data=st.sampled_from([ONCE, DOCS])
)
def test_contamination_bounds_contain_the_true_share(ancestors, own, data) -> None:
    def items(docs) -> set[str]:
        return set("".join(docs)) if isinstance(data, str) else set(docs)

    parts, read = divided(data, own), [divided(data, way) for way in ancestors]
    found = contamination(parts, [each.facts for each in read])
    for name in ("validation", "test"):
        held_out = items(getattr(parts, name))
        # Weights were chosen by the validation set of an ancestor.
        known = [
            items((*each.train, *(each.validation if name == "test" else ()))) for each in read
        ]
        if held_out:
            share = len(held_out & set().union(*known)) / len(held_out)
            assert found[name].low - 1e-9 <= share <= found[name].high + 1e-9
            assert len(read) > 1 or found[name].low == found[name].high
        else:
            assert name not in found


def test_contamination_by_other_data_is_unknown() -> None:
    child = split(DOCS, validation=0.2)
    for other in (None, DataFacts(7, "0" * 64), split([*DOCS, "more"], validation=0.2).facts):
        assert contamination(child, [other]) == {"validation": UNKNOWN}
    half = replace(child.facts, val_fraction=0.1)
    found = contamination(child, [half, None])["validation"]
    assert 0 < found.low < 1 == found.high


def test_custom_held_out_sets_are_checked_for_contamination() -> None:
    parts = split(DOCS, validation=0.1, test=0.1)
    read_all, read_train = split(DOCS).facts, parts.facts
    part = replace(parts, train=parts.train[:100])
    assert contamination(part, [read_all]) == {"validation": READ, "test": READ}
    own = replace(parts, validation=parts.train[:30])
    assert contamination(own, [read_train]) == {"validation": READ, "test": CLEAN}
    lists = Split([[*talk] for talk in TALKS], TALKS[:100], [[*talk] for talk in TALKS[100:]])
    assert contamination(lists, [split(TALKS).facts]) == {"validation": READ}
    elsewhere = replace(parts, validation=["other"])
    assert contamination(elsewhere, [read_train])["validation"] == UNKNOWN


def test_a_custom_training_set_counts_as_another_dataset() -> None:
    parts = Split(DOCS, DOCS[:600], DOCS[600:900])
    assert contamination(parts, [parts.facts]) == {"validation": UNKNOWN}
    assert trained_share(DOCS[:600], [parts.facts], ()) == READ
    overlapping = Split(DOCS, DOCS[:600], DOCS[450:750])
    assert contamination(overlapping, ()) == {"validation": Bounds(0.5, 0.5)}


def test_contamination_of_custom_running_text_is_unknown() -> None:
    read = split_stream(TEXT, validation=0.1, test=0.1).facts
    own = Split((TEXT,), (TEXT[:30_000],), (TEXT[30_000:35_000],))
    assert contamination(own, [read]) == {"validation": UNKNOWN}
    assert contamination(replace(own, gap=256), [read]) == {"validation": UNKNOWN}


def test_lines_and_running_text_of_a_file_are_not_the_same_data() -> None:
    text = "\n".join(DOCS)
    lines, stream = split(DOCS), split_stream(text)
    assert lines.facts.sha256 == stream.facts.sha256
    share = trained_share(DOCS[:9], [lines.facts, stream.facts], {*DOCS[:3]})
    assert share == Bounds(3 / 9, 1.0)
    assert other_data(lines.facts, [stream.facts])


def test_the_recorded_split_of_the_same_data_is_found() -> None:
    parts = split(DOCS, validation=0.2)
    assert recorded_facts(DOCS, [None, DataFacts(1, "0"), parts.facts]) is parts.facts
    assert recorded_facts(DOCS[:-1], [None, parts.facts]) is None
    assert recorded_facts([*DOCS[:-1], "zzzz"], [parts.facts]) is None


@pytest.mark.parametrize(
    ("bounds", "mark"),
    [
        (CLEAN, ""),
        (UNKNOWN, " (contamination unknown)"),
        (READ, " (contamination 100 %)"),
        (Bounds(0.6037, 0.6037), " (contamination 60.4 %)"),
        (Bounds(0.00012, 0.00012), " (contamination 0.012 %)"),
        (Bounds(0.25, 1.0), " (contamination at least 25 %)"),
    ],
)
def test_a_loss_is_marked_with_the_contaminated_share(bounds, mark) -> None:
    assert str(bounds) == mark
    assert bounds_of({"contamination": {"test": [*bounds]}}, "test") == bounds


@pytest.mark.parametrize(
    "record",
    [
        {"parent_sha256": "0"},
        {"teachers": ["one"]},
        {"contamination": {"validation": [0, 0]}},
        {"contamination": {"test": ["?", 1]}},
        {"contamination": {"test": [1]}},
        {"contamination": 5},
    ],
)
def test_contamination_of_a_child_without_a_record_is_unknown(record) -> None:
    assert bounds_of(record, "test") == UNKNOWN


def test_a_model_without_ancestors_has_no_contamination_bounds() -> None:
    assert bounds_of({"val_loss": 2.0}, "test") is None
    assert bounds_of({"parent_sha256": None, "teachers": [], "contamination": {}}, "test") is None


def test_case_variants_read_by_an_ancestor_are_contaminated() -> None:
    talks = [(Message("user", doc.upper()), talk[1]) for doc, talk in zip(DOCS, TALKS, strict=True)]
    docs, folding = [*TALKS, *talks], FoldingTokenizer.from_documents(TALKS)
    parent, child = split(docs, test=0.3), split(docs, validation=0.6, test=0.3)
    known = {talk[0].content.lower() for talk in parent.train}
    share = sum(talk[0].content.lower() in known for talk in child.test) / len(child.test)
    found = contamination(child, [parent.facts], folding)["test"]
    assert 0.5 < share < 1
    assert found.low == share <= found.high


def test_held_out_documents_in_the_training_set_are_contaminated() -> None:
    parts = split(DOCS, validation=0.1, test=0.1)
    own = replace(parts, validation=parts.train[:30], test=[*parts.train[:10], *parts.test[:10]])
    assert contamination(own, ()) == {"validation": READ, "test": Bounds(0.5, 0.5)}
    assert contamination(replace(parts, test=()), ()) == {}
    chosen_by_test = replace(parts, validation=parts.test, test=())
    assert contamination(parts, [chosen_by_test.facts]) == {"validation": UNKNOWN, "test": UNKNOWN}
    stream = split_stream(TEXT, validation=0.1)
    assert contamination(replace(stream, train=(TEXT,)), ()) == {"validation": READ}


def test_data_that_the_model_itself_read_is_not_contamination() -> None:
    """As `eval` does, which passes what the model itself was trained on, too."""
    capitals = [(Message("user", talk[0].content.upper()), talk[1]) for talk in TALKS]
    parts = split([*TALKS, *capitals], validation=0.2, test=0.2)
    folding = FoldingTokenizer.from_documents(TALKS)
    assert contamination(parts, [parts.facts], folding) == contamination(parts, (), folding)


def test_initial_turns_count_as_trained_even_without_hashes() -> None:
    longer = [(*talk, Message("user", "b"), Message("assistant", "c")) for talk in TALKS]
    docs = [*TALKS[:600], *longer[:600]]
    parts = split(docs, validation=0.4)
    read = {doc[:n] for doc in parts.train for n in (2, 4)}
    size = sum(sum(len(message.content) for message in doc) for doc in docs if doc in read)
    whole = sum(sum(len(message.content) for message in doc) for doc in docs)
    share = trained_share(docs, [parts.facts], None)
    assert share == pytest.approx((size / whole, size / whole))
    assert share.low > 0.65
