import json
from dataclasses import replace

from microgpt.training.presets import PRESETS
from microgpt_characters.synthetic_chat import conversations, json_line

FEW = replace(PRESETS["chat"], n_conversations=300)


def test_the_chat_preset_reads_basics_once_and_the_rest_twice() -> None:
    written = [
        json.loads(json_line(each))
        for split, n in (("basics", 60), ("train", 240), ("train", 240))
        for each in conversations(split, n, 7)
    ]
    spoken = [[(m["role"], m["content"]) for m in conversation] for conversation in written]
    drawn = [[(m.role, m.content) for m in conversation] for conversation in FEW.draw(seed=7)]
    assert drawn == spoken


def test_different_seeds_draw_different_preset_conversations() -> None:
    assert FEW.draw(seed=1) != FEW.draw(seed=2)
