"""Texts in other alphabets, from the file through training and a model directory to samples."""

import json

import pytest
from commands import ok

from microgpt import load

TEXTS = {
    "accented Latin": ["élodie", "björn", "žofia", "łukasz", "çağla", "ñuño", "e\u0301lise"],
    "Greek": ["ελένη", "γιώργος", "μαρία", "κώστας"],
    "emoji": ["👩\u200d🚀🌍", "🎉🎉", "👍🏽👍", "🇫🇷🇩🇪", "❤\ufe0f"],
}


@pytest.mark.slow
@pytest.mark.parametrize("alphabet", TEXTS)
def test_train_and_generate_work_with_non_latin_alphabets(microgpt, tmp_path, alphabet) -> None:
    docs = TEXTS[alphabet]
    (tmp_path / "docs.txt").write_text("\n".join(docs), encoding="utf-8")
    options = ["--input", "docs.txt", "--steps", "400", "--lr", "0.02", "--num-samples", "3"]
    trained = ok(microgpt("train", *options))
    assert len(trained.stdout.splitlines()) == 3 + 1 + 2 + 3  # header, step, title, samples

    chars = load(tmp_path / "output").tokenizer.chars
    assert chars == tuple(sorted(set("".join(docs))))
    info = json.loads(microgpt("info", "--json").stdout)
    assert info["charset"] == list(chars)

    options = ["generate", "--num-samples", "40", "--temperature", "0.4"]
    samples = json.loads(microgpt(*options, "--json").stdout)["samples"]
    assert {*"".join(samples)} <= set(chars)
    assert set(samples) & set(docs)  # it has learnt some by heart
    printed = microgpt(*options).stdout.splitlines()
    assert printed == [f"sample {i:2d}: {text}" for i, text in enumerate(samples, start=1)]

    prompted = json.loads(microgpt(*options, "--json", "--prompt", docs[0][:2]).stdout)["samples"]
    assert all(text.startswith(docs[0][:2]) for text in prompted)

    loss = json.loads(microgpt("eval", "output", "--data", "docs.txt", "--json").stdout)
    assert loss["n_docs"] == len(docs)
    assert microgpt("info", "--data", "docs.txt").returncode == 0
