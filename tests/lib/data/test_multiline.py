import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.data.documents import load_documents
from microgpt.data.text_file import ReadOptions, TextFile

TUNES = [
    f"X:{i}\nT:The {word} Jig\nM:6/8\nK:G\n|: GAB {word} :|" for i, word in enumerate("abcdef")
]
RECIPES = [
    f"{name}\n2 eggs\n{n} g of flour\n- salt\nMix everything, then bake it for {n} minutes."
    for n, name in enumerate(["Pancakes", "Chocolate chip cookies", "Bread", "Waffles", "Cake"], 40)
]
POEMS = [
    f"The {word}\nI went to see the {word} of the town\nand nobody was there, but many a {word} lay"
    f"\nunder the trees{', and more' * (i % 3)}\nand looked" + "\nat me" * (i % 2)
    for i, word in enumerate(["Sea", "Dog", "Hill", "Old House", "Rain"])
]
HAIKU = [f"An old pond {i}\na frog leaps in with a splash\nthe sound of water" for i in range(12)]
GAMES = [f'[Event "{i}"]\n[White "Anna"]\n\n1. e4 e5 2. Nf3 {i}. a3' for i in range(5)]
STANZAS = [f"Poem {i}\n\nA line\nand more\n\nand the end" for i in range(8)]
PAPERS = [f"TY  - JOUR\nAU  - Anna {i}\nTI  - The sea\nER  -" for i in range(5)]
BOOKS = [f"@{kind}{{b{i},\n  year = {i}\n}}" for i, kind in enumerate(["article", "book"] * 3)]
CLIPS = [f"The Sea ({i})\n- Your Highlight on page {i}\n\nIt rains." for i in range(4)]
WORDS = [f"\\lx {word}\n\\ps n\n\\ge a {word}" for word in ["house", "tree", "dog", "sea"]]
STORIES = [f"Once there was a cat {i}.\nIt sat." for i in range(3)]


@pytest.mark.parametrize(
    ("content", "docs", "kind"),
    [
        ("\n\n".join(TUNES), TUNES, "record between blank lines"),
        ("\n \n".join(RECIPES) + "\n\n\n", RECIPES, "record between blank lines"),
        ("\n\n".join(POEMS), POEMS, "record between blank lines"),
        ("\n\n".join(HAIKU), HAIKU, "record between blank lines"),
        ("\n\n".join(GAMES), GAMES, "record between blank lines"),
        ("\n\n\n".join(STANZAS), STANZAS, "record between blank lines"),
        ("<|endoftext|>\n".join(STORIES), STORIES, "text between marks"),
        ("".join(f"<|startoftext|>{s}<|endoftext|>\n" for s in STORIES), STORIES, "text between"),
        (">s1 human\nACGT\nAC\n\n>s2\nGGT*\n", ["ACGTAC", "GGT*"], "FASTA sequence"),
        ("\n\n".join(PAPERS), PAPERS, "record between blank lines"),
        ("\n\n".join(["% made by hand", *BOOKS]), ["% made by hand", *BOOKS], "record between"),
        ("\n\n".join(WORDS), WORDS, "record between blank lines"),
        ("\n*-\n".join(STORIES * 2), STORIES * 2, r"text between lines with \*-"),
        ("".join(f'<doc id="1">\n{s}\n</doc>\n' for s in STORIES), STORIES, "text between"),
        ("".join(f"{clip}\n==========\n" for clip in CLIPS), CLIPS, "text between lines with =+"),
        ("\n%\n".join(STORIES * 2), STORIES * 2, "text between lines with %"),
    ],
)
@pytest.mark.parametrize("text", [None, "lines"])
def test_multi_line_documents_are_found_unless_overridden(write, content, docs, kind, text) -> None:
    file, told = TextFile(write(content)), list[str]()
    assert load_documents(file, ReadOptions(text), tell=told.append) == docs
    if text is None:
        assert f"{len(docs)} documents, each a {file.kind}" in told[0]
        assert re.match(kind, file.kind)
    lines = [line.strip() for line in content.split("\n") if line.strip()]
    assert load_documents(file, ReadOptions(separator="line")) == lines
    assert load_documents(file, ReadOptions("stream")) == content.removesuffix("\n")


SPEECHES = "\n\n".join(f"{who}:\nI will not go,\nnor you {who}." for who in ["Anna", "Ben"] * 9)
CODE = "\n\n\n".join(f"def f{i}(x):\n    y = x\n\n    return y" for i in range(9))
PROSE = "\n\n".join("\n".join([f"it was {i} {'very ' * 12}late"] * 3) for i in range(9))
SECTIONS = "\n\n".join(f"Chapter {i}\n---------\nIt was late.\nWe left." for i in range(9))


@pytest.mark.parametrize(
    "content",
    [
        SPEECHES,
        CODE,
        PROSE,
        SECTIONS,
        "> quoted\n> text\nand more\n" * 5,
        "a `<|endoftext|>` is",
        "%\n% The Sea\n%\nIt rains.\n" * 4,
    ],
)
def test_text_that_only_resembles_records_is_read_line_by_line(write, content) -> None:
    docs = load_documents(write(content), ReadOptions("lines"))
    assert docs == [line.strip() for line in content.split("\n") if line.strip()]


words = st.text("abc \t", min_size=1).map(str.strip).filter(bool)
sequences = st.lists(st.text("ACGT", min_size=1), min_size=1)


@given(st.lists(sequences, min_size=1), words)
def test_wrapped_fasta_sequences_are_joined(tmp_path_factory, records, header) -> None:
    path = tmp_path_factory.getbasetemp() / "any.fasta"
    path.write_text("".join(f">{header}\n" + "\n".join(lines) + "\n" for lines in records))
    assert load_documents(path, ReadOptions()) == ["".join(lines) for lines in records]


@given(st.lists(st.lists(words, min_size=1, max_size=4), min_size=4))
def test_labelled_multi_line_records_are_read_unchanged(tmp_path_factory, records) -> None:
    path = tmp_path_factory.getbasetemp() / "any.abc"
    docs = ["\n".join([f"X: {i}", *lines]) for i, lines in enumerate(records)]
    path.write_text("\n\n".join(docs))
    assert load_documents(path, ReadOptions()) == docs


@given(st.text("ab:%-*<|>\n @X1", max_size=80))
def test_text_with_random_marks_is_loaded_without_an_error(tmp_path_factory, text) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_text(text + "\nb")
    assert load_documents(path, ReadOptions())
