import re

from microgpt import Message
from microgpt.data.shared_ngrams import END, START, shared_ngrams

REST = [str(i) for i in range(1000, 1100)]
NAMES = ["emma", "emma", "emmy", "gemma", "lemmon", "ava", *REST]


def found(text, docs=NAMES, n=8):
    return {group.name: sorted(group.ids) for group in shared_ngrams(text, docs, n)}


def test_groups_are_the_documents_that_match_their_pattern() -> None:
    docs = ["a+b c", "a+b", "xa+b c", "b c", *REST]
    groups = shared_ngrams("a+b c", docs)
    assert len(groups) > 2
    for group in groups:
        matching = [i for i, doc in enumerate(docs) if re.search(group.pattern, doc)]
        assert matching == sorted(group.ids), group.name


def test_groups_are_named_by_what_their_documents_share() -> None:
    assert found("emma") == {
        "ends with emma": [0, 1, 3],
        "is emma": [0, 1],
        "contains emm": [0, 1, 2, 3, 4],
        "begins with emm": [0, 1, 2],
    }
    assert [*found("n o", ["n o", *REST])] == ["is 'n o'"]


def test_groups_that_share_most_predictions_come_first() -> None:
    groups = shared_ngrams("emma", NAMES)
    shared = [len(group.ids) * (len(group.ngram) - 2) for group in groups]
    assert shared == sorted(shared, reverse=True)
    assert [group.name for group in shared_ngrams("emma", NAMES, 2)] == [*found("emma")][:2]


def test_a_group_of_over_a_tenth_of_the_documents_is_omitted() -> None:
    assert [*found("emma", [*["emmo"] * 2, *["1"] * 18])] == ["begins with emm"]
    assert not found("emma", [*["emmo"] * 3, *["1"] * 18])
    assert not found("xyz")


def test_only_one_of_nearly_equal_groups_is_returned() -> None:
    docs = [*["emma"] * 9, "emmy", *["1"] * 200]
    assert [*found("emma", docs)] == ["is emma"]


def test_shared_ngrams_do_not_extend_over_two_messages() -> None:
    def talk(*texts):
        return tuple(Message(role, text) for role, text in zip(("user", "assistant"), texts))  # noqa: B905

    docs = [talk("abc", "xyz"), talk("cxy", "bcx"), *(talk(each, "ok") for each in REST)]
    (group,) = shared_ngrams(talk("abc", "xyz"), docs)
    assert (group.name, group.ids, group.pattern) == ("is abc", {0}, r"^abc\Z")
    assert (group.ngram[0], group.ngram[-1]) == (START, END)
