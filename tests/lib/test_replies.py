import json
from dataclasses import replace

import pytest
from commands import ok, refused
from json_files import edit
from trainings import talks

from microgpt import InferenceGpt, load, save
from microgpt.errors import PromptError
from microgpt.plugins import PluginError
from microgpt.replies import prepare_replies

PARROT = """
from microgpt import Message
from microgpt.config import Sampling
from microgpt.replies import Preparation


def prepare(docs, options, tell, file):
    tell(f"parrot has seen {len(docs)} conversations")
    return Preparation(options, None, {"word": docs[0][0].content})


class hook:
    sampling = Sampling(temperature=0)

    def __init__(self, extra):
        self.word = extra["word"]

    def choose(self, messages):
        return {"say": self.word, "greet": [Message("user", "hi")]}.get(messages[-1].content)
"""
TALKS = talks([("hi", "hi"), ("day", "day"), ("greet", "greet"), ("hi", "hi")])


@pytest.fixture
def parrot(install, monkeypatch):
    """Install the chat plug-in `PARROT`, and hide all other plug-ins except engines."""
    monkeypatch.setattr("microgpt.replies.GROUP", "test_replies")
    monkeypatch.setattr("microgpt.plugins.GROUPS", ("engines", "test_replies"))
    install("parrot", "test_replies", "parrot = parrot", parrot=PARROT)


@pytest.fixture
def saved(chat_model):
    """A saved chat model whose metadata includes a plug-in's record."""
    edit(chat_model / "meta.json", extra={"parrot": {"word": "hi", "none": None}})
    return load(chat_model)


def test_a_chat_plug_in_reads_only_conversations_and_is_recorded(parrot) -> None:
    told = []
    assert prepare_replies(TALKS, {}, told.append).extra == {"parrot": {"word": "hi"}}
    assert "parrot has seen 4 conversations" in told
    assert prepare_replies(["hi", "day"], {}, told.append).extra == {}


def test_a_chat_plug_in_overrides_replies_messages_and_sampling(parrot, saved) -> None:
    meta = saved.meta.model_copy(update={"extra": None})
    gpt, plain = InferenceGpt(saved), InferenceGpt(replace(saved, meta=meta))
    assert gpt.chat("say").content == "hi"
    assert gpt.chat("greet").content == plain.chat("hi", temperature=0).content
    assert gpt.chat("yo", seed=3).content == plain.chat("yo", temperature=0).content


def test_a_model_with_a_chat_plug_in_cannot_generate_texts(parrot, saved) -> None:
    with pytest.raises(PromptError, match="cannot continue a text; use chat"):
        InferenceGpt(saved).generate()


def test_a_saved_copy_of_a_model_keeps_the_record_of_a_plug_in(saved, tmp_path) -> None:
    save(saved, tmp_path / "copy")
    facts = json.loads((tmp_path / "copy/meta.json").read_text())
    assert facts["extra"] == {"parrot": {"word": "hi", "none": None}}


def test_a_missing_plug_in_is_named_but_info_and_list_work(saved, chat_model, microgpt) -> None:
    with pytest.raises(PluginError, match="'parrot', which is not installed; install the package"):
        InferenceGpt(saved)
    assert "such as microgpt-parrot" in refused(microgpt("chat", "hi", "--model", chat_model))
    ok(microgpt("info", chat_model))
    assert chat_model.name in ok(microgpt("list", chat_model.parent)).stdout
