"""`microgpt train --chat` reads TOML files that give the number of conversations to generate."""

import json

import pytest
from commands import ok, refused

from microgpt import load_conversations, load_text
from microgpt_characters.synthetic_chat import conversations, json_line, lessons

WRONG = {
    "n_conversations = 5000\nseed 42\n": "a.toml is not valid TOML: Expected '='",
    "n_conversations = 5000\n": "a.toml must have n_conversations and seed, and no other keys",
    "n_conversations = 2\nseed = 1\n": "a.toml: n_conversations must be >= 5, got 2",
    "n_conversations = 1e9\nseed = 1\n": "n_conversations must be an integer, got 1000000000.0",
    "n_conversations = 5000\nseed = -1\n": "a.toml: seed must be >= 0, got -1",
    "n_conversations = 2_000_000\nseed = 1\n": "must be at most 1000000, got 2000000",
}


def test_a_file_asks_for_conversations_by_number_and_seed(tmp_path) -> None:
    path = tmp_path / "talk.TOML"
    path.write_text("n_conversations = 300\nseed = 20_000_000\n")
    assert load_conversations(path) == lessons(300, 20_000_000)


def test_info_recognises_such_a_file_and_text_in_toml_stays_text(microgpt, tmp_path) -> None:
    (tmp_path / "talk.toml").write_text("n_conversations = 300\nseed = 7\n")
    assert "train --chat --data talk.toml" in ok(microgpt("info", "--data=talk.toml")).stderr
    assert "read them with --chat" in refused(microgpt("train", "--data=talk.toml"))
    (tmp_path / "names.toml").write_text("anna\nemma\n")
    assert load_text(tmp_path / "names.toml") == ["anna", "emma"]


@pytest.mark.parametrize("content", WRONG)
def test_a_wrong_file_is_refused(microgpt, tmp_path, content) -> None:
    (tmp_path / "a.toml").write_text(content)
    assert WRONG[content] in refused(microgpt("train", "--chat", "--data=a.toml"))


def test_the_chat_preset_reads_basics_once_and_the_rest_twice() -> None:
    written = [
        json.loads(json_line(each))
        for split, n in (("basics", 60), ("train", 240), ("train", 240))
        for each in conversations(split, n, 7)
    ]
    spoken = [[(m["role"], m["content"]) for m in conversation] for conversation in written]
    drawn = [[(m.role, m.content) for m in conversation] for conversation in lessons(300, 7)]
    assert drawn == spoken


def test_different_seeds_draw_different_preset_conversations() -> None:
    assert lessons(300, 1) != lessons(300, 2)


def test_a_run_of_the_chat_preset_can_be_resumed(microgpt, tmp_path, monkeypatch) -> None:
    few, asked = lessons(50, 42), set()
    place = "microgpt_characters.synthetic_chat.lessons"
    monkeypatch.setattr(place, lambda *number_and_seed: asked.add(number_and_seed) or few)
    ok(microgpt("train", "--preset=chat", "--steps=2", "--batch-size=3"))
    assert asked == {(184_320, 42)}
    meta = json.loads((tmp_path / "output/meta.json").read_text())
    assert (meta["n_embd"], meta["n_layer"], meta["n_ff_exp"]) == (96, 4, 1)
    assert "end_turn" in meta["special_tokens"]
    training = meta["training"]
    assert (training["preset"], training["steps"], training["batch_size"]) == ("chat", 2, 3)
    assert not training["shuffle"]
    done = ok(microgpt("train", "--resume=output", "--steps=3"))
    assert "resuming after step 2 of 3" in done.stderr
