from dataclasses import replace

import pytest
from exported_models import ARCHITECTURES, saved_model

from microgpt import ModelConfig, TrainConfig, load, save, train
from microgpt.data.split import split
from microgpt.storage.document_hashes import read_document_hashes
from microgpt.storage.meta import description_of
from microgpt.storage.saved_model import SavedModel
from microgpt_cli.model_card import N_SAMPLES, model_card

NAMES = [f"{a}{b}" for a in "abcdefgh" for b in ("nna", "mma", "ob")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[SavedModel, str]:
    """A small model and its card."""
    directory = tmp_path_factory.mktemp("model")
    shape = ModelConfig(n_embd=8, n_head=2, block_size=8)
    parts = split(NAMES, validation=0.2)
    result = train(parts, model=shape, config=TrainConfig(steps=40))
    save(result, directory)
    saved = load(directory)
    return saved, model_card(saved, "names", read_document_hashes(directory, saved.meta))


def test_a_card_describes_the_data_the_split_and_the_losses(trained) -> None:
    saved, card = trained
    facts = saved.meta.training
    assert card.startswith("# names\n\nA language model of text with ")
    assert f"Weights: sha256 `{saved.sha256}`." in card
    assert f"24 documents, sha256 `{facts['data_sha256']}`. Held out by the hash of each" in card
    assert "document: 20.0% for validation.\n" in card
    assert f"| validation | {facts['val_loss']:.4f} | {facts['val_loss'] / 0.693147:.4f} |" in card
    assert f"| training | {facts['train_loss']:.4f} |" in card
    assert "## Licence\n\nNot stated." in card
    assert "microgpt generate --model names" in card


def test_a_card_counts_samples_that_are_training_documents(trained) -> None:
    saved, card = trained
    line = next(line for line in card.splitlines() if "samples" in line)
    everything = type("All", (), {"__contains__": lambda self, text: True})()
    assert f" of {N_SAMPLES} samples (" in line
    assert "200 of 200 samples (100.0%) are training documents" in model_card(saved, "", everything)
    assert "0 of 200 samples (0.0%) are training documents" in model_card(saved, "", ())


def test_a_card_says_what_is_unknown_about_an_imported_model() -> None:
    saved = saved_model("chat", **ARCHITECTURES["newer"])
    imported = replace(saved, meta=description_of(saved, imported_from="MoonBase"))
    card = model_card(imported, "mine")
    assert "Imported from MoonBase; its data are unknown." in card
    assert "## Losses\n\nNot measured." in card
    assert "## Memorisation\n\nNot measured. The model may repeat" in card
    assert "positions rotary, token_shift True" in card
    assert "microgpt chat --model mine" in card


def test_a_card_names_the_parents_data_and_the_contamination(trained) -> None:
    saved, _ = trained
    parent = {"n_docs": 7, "sha256": "ab"}
    facts = {"ancestor_data": [parent, None], "contamination": {"validation": [0.25, 0.25]}}
    training = saved.meta.training | facts
    derived = replace(saved, meta=saved.meta.model_copy(update={"training": training}))
    card = model_card(derived, "names")
    assert "- Its parent, or a teacher: 7 documents, sha256 `ab`. Nothing is held out." in card
    assert "- Its parent, or a teacher: Unknown." in card
    assert "| validation (contamination 25 %) |" in card


def test_a_name_with_a_space_is_quoted_in_the_command(trained) -> None:
    assert "microgpt generate --model 'my names'\n" in model_card(trained[0], "my names")
