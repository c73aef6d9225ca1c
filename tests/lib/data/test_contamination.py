import itertools
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt import Message
from microgpt.data.contamination import (
    PIECE,
    DocumentHashes,
    contamination,
    describe_read,
    hashes_file,
    known_share,
    mark,
    other_data,
    recorded_facts,
    trained_share,
)
from microgpt.data.split import MIN_STRETCH, DataFacts, Split, split, split_stream
from microgpt_cli.model_loading import recorded_share

DOCS = ["".join(letters) for letters in itertools.product("abcdef", repeat=4)]
TALKS = [(Message("user", doc), Message("assistant", "yes")) for doc in DOCS]
TEXT = "".join(map(chr, range(0x10000, 0x30000)))  # all characters are different
WORDS = [f"{n * 7919 % 100_003:05x}" for n in range(100_000)]
CLEAN, UNKNOWN, READ = 0.0, None, 1.0


@pytest.mark.parametrize("change", [str.upper, "{} ".format, "\u200b{}".format])
def test_documents_that_differ_only_in_capitals_or_spacing_count_as_contaminated(change) -> None:
    parts = split([*DOCS, *map(change, DOCS)], validation=0.1)
    trained = {doc.lower().strip(" \u200b") for doc in parts.train}
    share = sum(doc.lower().strip(" \u200b") in trained for doc in parts.validation)
    assert contamination(parts, ()) == {"validation": share / len(parts.validation)}
    assert 0.8 < share / len(parts.validation) < 1


def test_a_document_is_contaminated_if_all_its_lines_are_in_the_training_data() -> None:
    pairs = [f"{one.upper()}\n{other}" for one, other in itertools.pairwise(DOCS)]
    parts = split([*DOCS, *pairs], validation=0.2)
    read = {line.lower() for doc in parts.train for line in doc.split("\n")}
    share = sum({*doc.lower().split("\n")} <= read for doc in parts.validation)
    share /= len(parts.validation)
    assert 0.5 < share < 1
    assert contamination(parts, ()) == {"validation": share}
    assert known_share(parts.validation, DocumentHashes(hashes_file(parts.train, "lines"))) == share


def test_a_conversation_is_contaminated_only_if_training_used_all_of_it() -> None:
    shouted = [(Message("user", talk[0].content.upper()), talk[1]) for talk in TALKS]
    longer = [(*talk, *talk) for talk in TALKS]
    parts = split([*TALKS, *shouted, *longer], validation=0.1)
    trained = {tuple(turn.content.lower() for turn in doc) for doc in parts.train}
    share = sum(tuple(t.content.lower() for t in doc) in trained for doc in parts.validation)
    share /= len(parts.validation)
    assert 0.5 < share < 0.9
    assert contamination(parts, ()) == {"validation": share}
    assert known_share(parts.validation, DocumentHashes(hashes_file(parts.train, "lines"))) == share


FRACTIONS = st.sampled_from([(0.0, 0.0), (0.1, 0.1), (0.2, 0.1), (0.1, 0.3), (0.3, 0.0)])
TOLERANCE = 1e-9, 0.03  # for documents, and for text that is compared in pieces of 50 characters
WAYS = st.tuples(FRACTIONS, st.sampled_from([0, 50, 256]))
DATA = {"text": TEXT[:20_000], "documents": DOCS, "conversations": TALKS}


@cache
def divided(kind: str, way) -> Split:
    (validation, test), gap = way
    if kind == "text":
        return split_stream(DATA[kind], validation=validation, test=test, gap=gap)
    return split(DATA[kind], validation=validation, test=test)


@settings(max_examples=30)
@given(ancestors=st.lists(WAYS, min_size=1, max_size=3), own=WAYS, kind=st.sampled_from([*DATA]))
def test_contamination_is_the_fraction_that_ancestors_were_trained_on(ancestors, own, kind) -> None:
    def items(docs) -> set:
        return set("".join(docs)) if kind == "text" else set(docs)

    parts, read = divided(kind, own), [divided(kind, way) for way in ancestors]
    found = contamination(parts, [each.facts for each in read])
    for name in ("validation", "test"):
        held_out = items(getattr(parts, name))
        # A validation set selects weights, so it counts as used when the test set is evaluated.
        known = [
            items((*each.train, *(each.validation if name == "test" else ()))) for each in read
        ]
        if held_out:
            share = len(held_out & set().union(*known)) / len(held_out)
            if found[name] is None:  # the overlap can be too short to be detected
                assert kind == "text"
                assert share < PIECE / MIN_STRETCH
            else:
                assert found[name] == pytest.approx(share, abs=TOLERANCE[kind == "text"])
        else:
            assert name not in found


def test_contamination_by_other_or_unrecorded_data_is_unknown() -> None:
    child = split(DOCS, validation=0.2)
    for other in (None, DataFacts(7, "0" * 64), split([*DOCS, "more"], validation=0.2).facts):
        assert contamination(child, [other]) == {"validation": UNKNOWN}
    half = replace(child.facts, val_fraction=0.1)
    assert contamination(child, [half, None]) == {"validation": UNKNOWN}


def test_custom_held_out_sets_are_checked_for_contamination() -> None:
    parts = split(DOCS, validation=0.1, test=0.1)
    read_all, read_train = split(DOCS).facts, parts.facts
    part = replace(parts, train=parts.train[:100])
    assert contamination(part, [read_all]) == {"validation": READ, "test": READ}
    own = replace(parts, validation=parts.train[:30])
    assert contamination(own, [read_train]) == {"validation": READ, "test": CLEAN}
    assert contamination(replace(parts, validation=["other"]), [read_train])["validation"] == CLEAN


def test_a_custom_split_is_known_only_by_its_training_set() -> None:
    parts = Split(DOCS, DOCS[:600], DOCS[600:900])
    assert contamination(parts, [parts.facts]) == {"validation": UNKNOWN}
    assert trained_share(DOCS[:600], [parts.facts]) == READ
    own = split(DOCS, validation=0.1, test=0.1)
    chosen_by_test = Split(DOCS, own.train, own.test)
    assert contamination(own, [chosen_by_test.facts]) == {"validation": UNKNOWN, "test": UNKNOWN}


def test_a_parents_split_shows_contamination_but_not_its_absence() -> None:
    read = split_stream(TEXT, validation=0.1, test=0.1)
    own = Split((TEXT,), (TEXT[:30_000],), (TEXT[30_000:50_000],))
    share = len({*own.validation[0]} & {*"".join(read.train)}) / 20_000
    assert contamination(own, [read.facts])["validation"] == pytest.approx(share, abs=TOLERANCE[1])
    unread = Split((TEXT,), (TEXT[:1000],), read.test)
    assert contamination(unread, [read.facts])["validation"] == UNKNOWN


def test_a_file_read_as_lines_and_as_running_text_counts_as_different_data() -> None:
    text = "\n".join(DOCS)
    lines, stream = split(DOCS), split_stream(text)
    assert lines.facts.sha256 == stream.facts.sha256
    assert trained_share(DOCS, [lines.facts, stream.facts]) == UNKNOWN
    assert other_data(lines.facts, [stream.facts])


def test_recorded_facts_returns_only_facts_about_the_same_documents() -> None:
    parts = split(DOCS, validation=0.2)
    assert recorded_facts(DOCS, [None, DataFacts(1, "0"), parts.facts]) == [parts.facts]
    assert recorded_facts(DOCS[:-1], [None, parts.facts]) == []
    assert recorded_facts([*DOCS[:-1], "zzzz"], [parts.facts]) == []


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (CLEAN, ""),
        (UNKNOWN, " (contamination unknown)"),
        (READ, " (contamination 100 %)"),
        (0.6037, " (contamination 60.4 %)"),
        (0.00012, " (contamination 0.012 %)"),
    ],
)
def test_a_loss_is_marked_with_its_recorded_contamination(share, text) -> None:
    assert mark(recorded_share({"contamination": {"test": share}}, "test")) == text


def test_a_note_tells_known_possible_and_no_contamination_apart() -> None:
    note = describe_read({"validation": UNKNOWN, "test": CLEAN})
    assert "may have been used in training, so its losses may be too low: validation (" in note
    assert "test" not in note
    note = describe_read({"validation": 0.5, "test": UNKNOWN})
    assert "was used in training, so its losses are too low: validation (" in note
    assert not describe_read({"validation": CLEAN})


@pytest.mark.parametrize(
    ("record", "share"),
    [
        ({"parent_sha256": "0"}, UNKNOWN),
        ({"teachers": ["one"]}, UNKNOWN),
        ({"contamination": {"validation": 0.0}}, UNKNOWN),
        ({"contamination": {"test": [1]}}, UNKNOWN),
        ({"contamination": {"test": 7}}, UNKNOWN),
        ({"contamination": 5}, UNKNOWN),
        ({"val_loss": 2.0}, CLEAN),
        ({"parent_sha256": None, "teachers": [], "contamination": {}}, CLEAN),
    ],
)
def test_ancestors_or_a_bad_record_make_contamination_unknown(record, share) -> None:
    assert recorded_share(record, "test") == share


def test_held_out_documents_in_the_training_set_are_contaminated() -> None:
    parts = split(DOCS, validation=0.1, test=0.1)
    own = replace(parts, validation=parts.train[:30], test=[*parts.train[:10], *parts.test[:10]])
    assert contamination(own, ()) == {"validation": READ, "test": 0.5}
    assert contamination(replace(parts, test=()), ()) == {}
    assert contamination(Split(DOCS, DOCS[:600], DOCS[450:750]), ()) == {"validation": 0.5}
    stream = split_stream(TEXT, validation=0.1)
    assert contamination(replace(stream, train=(TEXT,)), ()) == {"validation": READ}


def test_test_documents_used_for_validation_are_contaminated() -> None:
    parts = split(DOCS, validation=0.1, test=0.1)
    same = replace(parts, test=[doc.upper() for doc in parts.validation])
    assert contamination(same, ()) == {"validation": CLEAN, "test": READ}


def test_facts_of_the_models_own_training_data_do_not_add_contamination() -> None:
    """`eval` passes the facts of the model's own data together with those of its ancestors."""
    parts = split([*DOCS, *map(str.upper, DOCS)], validation=0.2, test=0.2)
    assert contamination(parts, [parts.facts]) == contamination(parts, ())


def test_a_short_last_piece_of_held_out_text_is_not_contaminated() -> None:
    text = " ".join(WORDS)[:110_010]  # a held-out stretch ends with a piece of 1 or 2 characters
    parts = split_stream(text, validation=0.1001, gap=256)
    assert {len(each) % PIECE for each in parts.validation} & {1, 2}
    assert contamination(parts, ()) == {}


def test_a_copy_of_running_text_in_capitals_is_contaminated() -> None:
    text, between = " ".join(WORDS[:30_000]), " ".join(WORDS[30_000:40_000])
    parts = split_stream(f"{text}\n\n{between} {text.upper()}", validation=0.1)
    assert contamination(split_stream(f"{text} {between}", validation=0.1), ()) == {}
    assert contamination(parts, ())["validation"] > 0.5


def test_the_contamination_of_the_test_set_is_known_even_if_the_set_is_removed() -> None:
    docs = [*(f"name {n}" for n in range(200)), *(f"Name {n}" for n in range(100))]
    parts = split(docs, validation=0.1, test=0.1)
    found = contamination(parts, [])
    assert found["test"] > 0
    assert contamination(replace(parts, test=()), [])["test"] == found["test"]


def test_the_sets_of_a_split_cannot_be_changed_in_place() -> None:
    own = Split(["a", "b"], ["a"], [list(TALKS[0])])
    for each in (split(list("abcdefghijklmnopqrst"), validation=0.3), own):
        assert {*map(type, (each.docs, each.train, each.validation))} == {tuple}
    assert own.validation == (TALKS[0],)


@pytest.mark.parametrize("start", [0, 1, 24, 25, 26, 949, 950])
def test_held_out_text_is_contaminated_at_any_position_in_the_training_text(start) -> None:
    read, own = (TEXT[:1000],), (TEXT[start : start + PIECE],)
    assert contamination(Split((*read, *own), read, own), (), "stream") == {"validation": READ}


def test_running_text_but_no_line_can_be_contaminated_in_part() -> None:
    read, own = (TEXT[:9000],), (TEXT[3000:3400], TEXT[5000:5600], TEXT[20_000:21_000])
    parts = Split((*read, *own), read, own)
    assert contamination(parts, (), "stream")["validation"] == pytest.approx(0.5, abs=0.02)
    assert contamination(parts, ()) == {}
