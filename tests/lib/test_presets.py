import json

from microgpt.chat_grammar import conversations, json_line
from microgpt.presets import PRESETS


def test_the_chat_preset_learns_from_what_the_grammar_writes() -> None:
    preset = PRESETS["chat"]
    drawn = preset.draw(seed=7)
    assert len(drawn) == preset.n_conversations
    written = [json.loads(json_line(each)) for each in conversations("train", 50, 7)]
    spoken = [[(m["role"], m["content"]) for m in conversation] for conversation in written]
    assert [[(m.role, m.content) for m in conversation] for conversation in drawn[:50]] == spoken


def test_the_chat_preset_draws_other_conversations_for_another_seed() -> None:
    assert PRESETS["chat"].draw(seed=1)[:9] != PRESETS["chat"].draw(seed=2)[:9]
