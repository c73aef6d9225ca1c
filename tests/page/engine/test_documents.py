"""Compare how JavaScript and Python read training texts and split them into sets."""

import random
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from javascript import answer_of, assigned

from microgpt.config import TrainConfig
from microgpt.data.contamination import contamination, mark
from microgpt.data.context import chunks_of
from microgpt.data.documents import bundled, load_text
from microgpt.data.split import split, split_stream
from microgpt.data.statistics import is_running_text
from microgpt.data.text_file import TextFile
from microgpt.data.tokenizer import CharTokenizer
from microgpt.errors import DataError

CODE = """
import { dataOf, textOf } from "./documents.js";
const shown = (chunks) => chunks.map(({ tokens, mask }) => [tokens, mask ? [...mask] : null]);
function answer([bytes, how]) {
  const { tokenizer, train, validation } = dataOf(textOf(Uint8Array.from(bytes)), how);
  return [tokenizer.pieces.join(""), shown(train), shown(validation)];
}
"""


def drawn(rng: random.Random) -> str:
    """Return random lines; some are repeated, and some contain only white space."""
    chars = [*rng.sample(assigned(), 20), *" \t\u3000\x85ab"]
    chars = [char for char in chars if char not in "\0\r\n"]
    lines = ["".join(rng.choices(chars, k=rng.randrange(rng.choice((4, 80))))) for _ in range(40)]
    return "\n".join(["x", *lines, *lines[:5]])


def chunks_in(content: bytes, how: dict[str, Any], path: Any) -> list[Any]:
    """Return the vocabulary, the training chunks and the held-out chunks that Python computes."""
    path.write_bytes(content)
    size, kind, validation = how["size"], how["text"], how["validation"]
    lines = list(TextFile(path))
    if kind == "stream":
        parts = split_stream("\n".join(lines), validation=validation, gap=size)
    else:
        documents = filter(None, map(str.strip, lines))
        parts = split(list(documents), validation=validation)
    tokenizer = CharTokenizer.from_documents(parts.docs)
    chunks = parts.chunked(tokenizer, size, TrainConfig(text=kind))
    data = chunks.encode(range(len(chunks)))
    masks = [data.mask_of(i) for i in range(len(data))]
    train = [[list(doc), mask and list(mask)] for doc, mask in zip(data, masks, strict=True)]
    held_out = [
        [list(tokens), mask and list(mask)]
        for doc in parts.validation
        for tokens, mask in chunks_of(doc, tokenizer, size, kind)
    ]
    return ["".join(tokenizer.chars), train, held_out]


def with_whole_masks(chunks: list[Any]) -> list[Any]:
    """Give all chunks a mask if one of them has one, as a `TokenDataset` does."""
    if all(mask is None for _, mask in chunks):
        return chunks
    return [[tokens, mask or [1] * len(tokens)] for tokens, mask in chunks]


def test_javascript_reads_and_splits_texts_as_python_does(node, tmp_path) -> None:
    path, rng = tmp_path / "text.txt", random.Random(1)
    inputs, expected = [], []
    for i in range(60):
        kind = ("lines", "stream")[i % 2]
        fraction = rng.choice((0, 0.01, 0.1, 0.3))
        how = {"text": kind, "validation": fraction, "size": rng.randint(1, 30)}
        content = (drawn(rng) * rng.choice((1, 20) if kind == "stream" else (1,))).encode()
        inputs.append([list(content), how])
        expected.append(answer_of(chunks_in, content, how, path))
    for wanted, found in zip(expected, node(CODE, inputs), strict=True):
        if "error" in wanted:
            assert found["error"].split("; ")[0] == wanted["error"].split("; ")[0]
        else:
            chars, train, held_out = found
            assert [chars, with_whole_masks(train), held_out] == wanted


def test_a_variant_of_a_held_out_document_is_never_trained_on(node) -> None:
    """Variants differ only in case, accents or white space; duplicates are removed."""
    names = bundled("names.txt").read_text().split("\n")[:300]
    names = [*dict.fromkeys(name.strip() for name in names)]
    same = [str.upper, str.title, " {}\u200b".format, "{}\u0301".format]
    code = """
    import { dataOf } from "./documents.js";
    const how = { text: "lines", validation: 0.2, size: 8 };
    const answer = (lines) => dataOf(lines.join("\\n"), how).documents;
    """
    inputs = [map(str.title, names), *([*names, *map(change, names)] for change in same)]
    alone, *found = node(code, [list(lines) for lines in inputs])
    assert alone == list(split(list(map(str.title, names)), validation=0.2).train)
    trained = list(split(names, validation=0.2).train)
    for change, documents in zip(same, found, strict=True):
        assert documents == [*trained, *(change(name).strip() for name in trained)]


def test_javascript_marks_contaminated_held_out_text_as_python_does(node) -> None:
    names = bundled("names.txt").read_text().split("\n")
    once, twice = " ".join(names[:2000]), " ".join([*names[:1000], *map(str.upper, names[:1000])])
    code = """
    import { dataOf } from "./documents.js";
    const how = { text: "stream", validation: 0.2, size: 8 };
    const answer = (text) => dataOf(text, how).mark;
    """
    found = node(code, [once, twice])
    parts = split_stream(twice, validation=0.2, gap=8)
    assert found == ["", mark(contamination(parts, ())["validation"])]
    assert found[1]


def test_javascript_reads_line_ends_and_boms_as_python_does(node, tmp_path) -> None:
    contents = [b"a\r\nb\rc\n\n", b"\xef\xbb\xbf a \n\x1c\xc2\x85\nb", b"\n\nx", b"x\r\n\r\n"]
    contents += ["\ufeffé\r\nб\n".encode(name) for name in ("utf-16-le", "utf-16-be")]
    inputs = [
        [list(content), {"text": kind, "validation": 0, "size": 4}]
        for content in contents
        for kind in ("lines", "stream")
    ]
    expected = [chunks_in(bytes(content), how, tmp_path / "x") for content, how in inputs]
    assert node(CODE, inputs) == expected


def test_long_white_space_in_a_line_takes_linear_time(node) -> None:
    code = """
    import { strip } from "./characters.js";
    import { kindOf } from "./text_kind.js";
    const answer = (n) => {
      const line = `a${" ".repeat(n)}b`;
      return [strip(` ${line} `) === line, kindOf(line)];
    };
    """
    assert node(code, [4_000_000]) == [[True, "lines"]]  # quadratic time would take hours


def test_javascript_refuses_files_without_readable_text(node, tmp_path) -> None:
    how = {"text": "lines", "validation": 0, "size": 4}
    contents = [b"a\r\nb\ncaf\xe9", b"\xef\xbb\xbfa\0b", b"", b" \n\t"]
    *found, empty, blank = [
        each["error"] for each in node(CODE, [[list(content), how] for content in contents])
    ]
    assert empty == blank == "the file has no text; use another file"
    for content, error in zip(contents, found, strict=False):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(DataError) as refused:
            load_text(tmp_path / "x")
        (where,) = re.findall(r"\(line \d+ has the byte 0x..\)", str(refused.value))
        assert where in error
        assert "save it as UTF-8" in error


def layouts(rng: random.Random) -> Iterator[str]:
    """Yield texts and lists that are wrapped, indented and punctuated in various ways."""
    shakespeare, names = (bundled(f"{name}.txt").read_text() for name in ("shakespeare", "names"))
    for _ in range(150):
        start = rng.randrange(len(shakespeare))
        prose = shakespeare[start : start + rng.randint(100, 6000)]
        if rng.random() < 0.7:
            words = prose.replace(".", rng.choice((".", "", "²!' "))).split()
            words = [rng.choice((word, word.lower(), "17")) for word in words]
            prose = "\n".join(textwrap.wrap(" ".join(words), rng.randint(30, 90)))
        if rng.random() < 0.3:
            prose = prose.replace("\n", rng.choice(("\n\t", "\n\n", " \n\u3000", "\n\n\n")))
        yield prose
    for n in (3, 4):  # with 4 stanzas or more, the text counts as running text
        yield "\n\n".join(["the sea was calm and nobody had slept\nsince the wind had died"] * n)
    yield shakespeare
    yield names


def test_javascript_detects_running_text_as_python_does(node) -> None:
    code = """
    import { kindOf } from "./text_kind.js";
    const answer = (text) => kindOf(text) === "stream";
    """
    texts = list(layouts(random.Random(1)))
    expected = [is_running_text(text.split("\n")) for text in texts]
    assert node(code, texts) == expected
    assert 20 < sum(expected) < len(texts) - 20
