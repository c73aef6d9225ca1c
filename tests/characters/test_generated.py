"""`microgpt train --chat` reads TOML files that give the number of conversations to generate."""

import pytest
from commands import refused

from microgpt import load_conversations
from microgpt_characters.synthetic_chat import lessons

WRONG = {
    "n_conversations = 5000\nseed 42\n": "a.toml is not valid TOML: Expected '='",
    "n_conversations = 5000\n": "a.toml must have n_conversations and seed, and no other keys",
    "n_conversations = 2\nseed = 1\n": "a.toml: n_conversations must be >= 5, got 2",
    "n_conversations = 1e9\nseed = 1\n": "n_conversations must be an integer, got 1000000000.0",
    "n_conversations = 5000\nseed = -1\n": "a.toml: seed must be >= 0, got -1",
    "n_conversations = 20_000_000\nseed = 1\n": "must be at most 10000000, got 20000000",
}


def test_a_file_asks_for_conversations_by_number_and_seed(tmp_path) -> None:
    path = tmp_path / "talk.toml"
    path.write_text("n_conversations = 300\nseed = 7\n")
    assert load_conversations(path) == lessons(300, 7)


@pytest.mark.parametrize("content", WRONG)
def test_a_wrong_file_is_refused(microgpt, tmp_path, content) -> None:
    (tmp_path / "a.toml").write_text(content)
    assert WRONG[content] in refused(microgpt("train", "--chat", "--data=a.toml"))
