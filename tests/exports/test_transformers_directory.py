import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import jinja2
import numpy as np
import pytest
from apertus_model import forward
from exported_files import refusal, written
from exported_models import PORTABLE, TOKENIZERS, drawn_tokens, log_probabilities, saved_model
from safetensors.numpy import load_file
from tokenizers import Tokenizer as Library

from microgpt import Message
from microgpt.errors import CheckpointError
from microgpt_exports.transformers_directory import TRANSFORMERS_FORMAT

CHAT = [("user", "how are you"), ("assistant", "fine."), ("user", "good")]


@cache
def library_of(tokenizer: str) -> Library:
    """Return the tokenizer of an export, loaded by the tokenizers library."""
    with TemporaryDirectory() as folder:
        saved = saved_model(tokenizer, block_size=32, **PORTABLE)
        directory = written(TRANSFORMERS_FORMAT, saved, Path(folder))
        return Library.from_file(str(directory / "tokenizer.json"))


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_tensors_and_config_for_transformers_reproduce_the_model(tokenizer, tmp_path) -> None:
    saved = saved_model(tokenizer, block_size=64, **PORTABLE)
    directory = written(TRANSFORMERS_FORMAT, saved, tmp_path)
    settings = json.loads((directory / "config.json").read_text())
    assert settings["max_position_embeddings"] == 64
    tokens = drawn_tokens(saved, 64)
    tensors = load_file(directory / "model.safetensors")
    found = forward(tensors, settings["num_attention_heads"], tokens)
    assert np.abs(found - log_probabilities(saved, tokens)).max() < 1e-5


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize(
    "text", ["hello world", "Hello\nnaïve ☃ isn't it? 😀", "ÿÃé  a  b\u2028c", "Straße „Æ“ ﬁ Ⅳ", ""]
)
def test_tokenizer_json_encodes_and_decodes_as_the_model_does(tokenizer, text) -> None:
    ours, library = TOKENIZERS[tokenizer], library_of(tokenizer)
    expected = [ours.bos_id, *ours.encode(text.translate(ours.reading(text)))]
    assert library.encode(text).ids == expected
    assert library.decode(expected) == ours.decode(expected)


def test_the_chat_template_writes_the_tokens_of_a_conversation(tmp_path) -> None:
    ours = TOKENIZERS["chat"]
    directory = written(TRANSFORMERS_FORMAT, saved_model("chat", **PORTABLE), tmp_path)
    facts = json.loads((directory / "tokenizer_config.json").read_text())
    messages = [{"role": role, "content": content} for role, content in CHAT]
    messages.insert(0, {"role": "system", "content": "be brief"})
    text = jinja2.Template(facts["chat_template"]).render(
        messages=messages, bos_token=facts["bos_token"], add_generation_prompt=True
    )
    turns = [token for turn in CHAT for token in ours.encode_turn(Message(*turn))]
    expected = [ours.bos_id, *turns, ours.role_id("assistant")]
    assert library_of("chat").encode(text, add_special_tokens=False).ids == expected


def test_generation_config_limits_length_and_special_tokens(tmp_path) -> None:
    ours = TOKENIZERS["chat"]
    saved = saved_model("chat", block_size=64, **PORTABLE)
    directory = written(TRANSFORMERS_FORMAT, saved, tmp_path)
    facts = json.loads((directory / "generation_config.json").read_text())
    assert facts["eos_token_id"] == [ours.end_turn_id, ours.bos_id]
    assert {*facts["suppress_tokens"], ours.end_turn_id} == {*ours.special_ids}
    assert facts["max_length"] == 64


def refused(directory: Path) -> str:
    return refusal(TRANSFORMERS_FORMAT.read, directory)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return written(TRANSFORMERS_FORMAT, saved_model("text", block_size=32, **PORTABLE), tmp_path)


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("config.json", {"auto_map": {"AutoModelForCausalLM": "evil.Model"}}),
        ("config.json", {"num_hidden_layers": 10**9}),
        ("generation_config.json", {"custom_generate": "evil"}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}}),
        ("tokenizer_config.json", {"chat_template": "{{ 9 ** 9 ** 9 }}"}),
        ("tokenizer.json", {"post_processor": None}),
    ],
)
def test_an_export_with_changed_settings_is_refused(file, change, directory) -> None:
    path = directory / file
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert refused(directory).startswith(f"/{file} differs from what this version of microgpt")


def test_besides_a_readme_an_export_must_have_exactly_its_files(directory) -> None:
    (directory / "README.md").write_text("mine")
    (directory / ".gitattributes").write_text("mine")
    assert TRANSFORMERS_FORMAT.read(directory)
    for name in ("adapter_config.json", "modeling_evil.py", "model-00001-of-00002.safetensors"):
        (directory / name).write_text("mine")
        assert f"that microgpt has not written: {name}; remove it" in refused(directory)
        (directory / name).unlink()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        content = (directory / name).read_bytes()
        (directory / name).unlink()
        with pytest.raises(CheckpointError, match=f"cannot read {directory / name}: No such file"):
            TRANSFORMERS_FORMAT.read(directory)
        (directory / name).write_bytes(content)
    (directory / "receipt.json").unlink()
    assert TRANSFORMERS_FORMAT.read(directory) is None
