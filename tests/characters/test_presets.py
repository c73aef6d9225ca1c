import json

from commands import ok, refused

from microgpt_characters.synthetic_chat import conversations, json_line, lessons


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


def test_the_chat_preset_resumes_only_with_the_same_data(microgpt, tmp_path) -> None:
    data = tmp_path / "few.toml"
    data.write_text("n_conversations = 50\nseed = 42\n")
    sizes = ("--steps=2", "--batch-size=3")
    ok(microgpt("train", "--preset=chat", "--data=few.toml", *sizes))
    meta = json.loads((tmp_path / "output/meta.json").read_text())
    assert (meta["n_embd"], meta["n_layer"], meta["n_ff_exp"]) == (96, 4, 1)
    assert "end_turn" in meta["special_tokens"]
    training = meta["training"]
    assert (training["preset"], training["steps"], training["batch_size"]) == ("chat", 2, 3)
    assert not training["shuffle"]
    done = ok(microgpt("train", "--resume=output", "--steps=3"))
    assert "resuming after step 2 of 3" in done.stderr
    other = tmp_path / "other.jsonl"
    other.write_text('[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]')
    again = microgpt("train", "--resume=output", "--steps=4", "--data=other.jsonl")
    assert "is not the input of the run" in refused(again)
