"""The command line: train, generate, info and chat, with the flags and files of the documents."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SHAPES = {
    **{"wte": (27, 16), "wpe": (16, 16), "lm_head": (27, 16)},
    **{f"layer0.attn_w{name}": (16, 16) for name in "qkvo"},
    **{"layer0.mlp_fc1": (64, 16), "layer0.mlp_fc2": (16, 64)},
}
ROLES = ["user", "assistant", "end_turn"]


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one sentence with which a command refuses its input."""
    (error,) = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert error.startswith("error: ")
    assert done.stdout == ""
    return error


def facts(info: str) -> dict[str, str]:
    """Return what `info` prints as `name:  value`."""
    return dict(re.findall(r"^ *(\w+): +(.+)$", info, re.MULTILINE))


def shape(info: str) -> str:
    """Return width, heads, layers, context and number of weights, as `info` prints them."""
    keys = ("n_embd", "n_head", "n_layer", "block_size", "num_params")
    return " ".join(facts(info)[key].replace(",", "") for key in keys)


# S4.4, D.6
def test_help_lists_the_commands_of_the_documents(run, tmp_path) -> None:
    shown = set(run("microgpt", "--help", cwd=tmp_path).stdout.split())
    assert {"train", "generate", "chat", "info"} <= shown


# S3.4, S3.5, S3.6, S3.7, S3.8, S3.9, S3.23, S3.26, S0.25, S1.7, S4.2, S4.9, S4.10, S4.29
def test_training_prints_the_run_of_the_document_byte_for_byte(names, transcript) -> None:
    assert (names / "train.txt").read_text(encoding="utf-8") == transcript


# S2.11, S3.25, S0.35, S4.1: without an option, the names and the directory are known
def test_training_without_options_makes_the_same_model(run, names, transcript, tmp_path) -> None:
    assert run("microgpt", "train", cwd=tmp_path).stdout == transcript
    again, first = (folder / "output" / "weights.json" for folder in (tmp_path, names))
    assert again.read_bytes() == first.read_bytes()


# S3.1, S3.25, S4.15
def test_the_compiled_engine_makes_the_run(run, compiled, names, transcript, tmp_path) -> None:
    args = ("train", "--engine", "compiled", "--input", str(names / "names.txt"))
    assert run("microgpt", *args, "--output", "fast", cwd=tmp_path).stdout == transcript


# S0.1, S3.1, S3.2, S3.24, S4.1, S4.15
@pytest.mark.slow
@pytest.mark.long
def test_the_reference_engine_makes_the_run(run, names, transcript, tmp_path) -> None:
    args = ("train", "--engine", "reference", "--input", str(names / "names.txt"))
    assert run("microgpt", *args, "--output", "ref", cwd=tmp_path).stdout == transcript


# S0.35, S4.10, S4.29: steps, learning rate and seed change the weights
@pytest.mark.slow
def test_steps_learning_rate_and_seed_change_the_weights(run, names, tmp_path) -> None:
    def weights(*options: str) -> bytes:
        args = ("train", "--input", str(names / "names.txt"), "--output", "".join(options))
        run("microgpt", *args, *options, cwd=tmp_path)
        return (tmp_path / "".join(options) / "weights.json").read_bytes()

    base = ("--steps", "20")
    found = [weights(*base), weights("--steps", "21")]
    found += [weights(*base, "--lr", "0.005"), weights(*base, "--seed", "7")]
    assert len(set(found)) == 4
    assert weights(*base, "--lr", "0.01", "--seed", "42") == found[0]


# S4.30a, S4.20
@pytest.mark.slow
def test_training_takes_dimensions_and_a_learning_rate(run, names) -> None:
    args = "--input names.txt --steps 500 --lr 0.005 --n-embd 32 --n-head 4 --n-layer 2"
    dims = ("--block-size", "64", "--output", "dims")
    stdout = run("microgpt", "train", *args.split(), *dims, cwd=names).stdout
    assert "num params: 28352\n" in stdout
    (loss,) = re.findall(r"^step +500 / +500 \| loss (\d\.\d{4})$", stdout, re.MULTILINE)
    assert float(loss) < 3
    info = run("microgpt", "info", "--model-dir", "dims", cwd=names).stdout
    assert shape(info) == "32 4 2 64 28352"


# S4.20
def test_a_width_that_the_heads_do_not_divide_is_refused(run, names, tmp_path) -> None:
    args = ("--input", str(names / "names.txt"), "--n-embd", "30", "--n-head", "4")
    error = refusal(run("microgpt", "train", *args, "--output", "x", cwd=tmp_path, code=2))
    assert "30" in error
    assert "4" in error
    assert not list(tmp_path.iterdir())


# S4.32, S4.40: defaults are output, 20 samples, temperature 0.5
def test_generate_prints_numbered_samples(run, names) -> None:
    args = ("--model-dir", "output", "--num-samples", "20", "--temperature", "0.5")
    stdout = run("microgpt", "generate", *args, cwd=names).stdout
    found = re.findall(r"^sample [ \d]\d: ([a-z]+)$", stdout, re.MULTILINE)
    assert stdout == "".join(f"sample {i:2d}: {name}\n" for i, name in enumerate(found, 1))
    assert len(found) == 20
    assert len(set(found)) > 10
    assert run("microgpt", "generate", cwd=names).stdout == stdout


# S4.11, S4.39, S4.40
@pytest.mark.slow
def test_generate_depends_on_temperature_and_seed(run, names) -> None:
    def sampled(*options: str) -> list[str]:
        stdout = run("microgpt", "generate", *options, cwd=names).stdout
        return [line.split(": ")[1] for line in stdout.splitlines()]

    usual = sampled()
    assert len(set(sampled("--temperature", "0"))) == 1
    assert sampled("--temperature", "2") != usual
    assert sampled("--seed", "7") != usual
    assert sampled("--seed", "42", "--temperature", "0.5") == usual
    assert sampled("--num-samples", "3") == usual[:3]


# S4.33, S4.21
def test_info_shows_the_metadata(run, names) -> None:
    info = run("microgpt", "info", "--model-dir", "output", cwd=names).stdout
    assert shape(info) == "16 4 1 16 4192"
    shown = facts(info)
    assert shown["vocab_size"] == "27"
    assert "".join(re.findall("[a-z]", shown["charset"])) == "abcdefghijklmnopqrstuvwxyz"
    assert "special_tokens" not in shown


# S4.33e
@pytest.mark.parametrize("command", ["info", "generate", "chat"])
def test_a_model_that_does_not_exist_is_an_error(run, command: str, tmp_path) -> None:
    done = run("microgpt", command, "--model-dir", "nosuch", cwd=tmp_path, code=2)
    assert "nosuch" in refusal(done)


# S4.7, S4.29, S4.46, S4.47, S0.23, S1.24, S2.7, S3.15, S3.19, S3.22
def test_weights_json_has_the_weights_as_nested_arrays(names) -> None:
    weights = json.loads((names / "output" / "weights.json").read_text(encoding="utf-8"))
    assert {name: (len(rows), len(rows[0])) for name, rows in weights.items()} == SHAPES
    numbers = [number for rows in weights.values() for row in rows for number in row]
    assert len(numbers) == 4192
    assert all(isinstance(number, float) for number in numbers)


# S4.48, S4.12
def test_meta_json_has_vocabulary_charset_and_dimensions(names) -> None:
    meta = json.loads((names / "output" / "meta.json").read_text(encoding="utf-8"))
    assert meta["vocab_size"] == 27
    assert meta["chars"] == list("abcdefghijklmnopqrstuvwxyz")
    assert (meta["n_embd"], meta["n_head"], meta["n_layer"], meta["block_size"]) == (16, 4, 1, 16)
    assert "special_tokens" not in meta


# S4.46b, S4.47, S4.48, S4.18: the logits are those of the document's architecture
def test_a_model_written_by_hand_generates_what_its_weights_say(run, by_hand, tmp_path) -> None:
    start = 3
    follows = {(start, 0): 50.0, (0, 1): 50.0, (1, 2): 50.0, (2, start): 50.0}
    by_hand(tmp_path / "abc", "abc", [], follows)
    args = ("--model-dir", "abc", "--num-samples", "2")
    stdout = run("microgpt", "generate", *args, cwd=tmp_path).stdout
    assert stdout == "sample  1: abc\nsample  2: abc\n"


# S4.46c, S4.18, S4.25, S4.34, S4.48: with one message as an argument
def test_a_chat_model_written_by_hand_answers(run, by_hand, tmp_path) -> None:
    assistant, end = 4, 5
    follows = {(assistant, 0): 50.0, (0, 1): 50.0, (1, end): 50.0}
    by_hand(tmp_path / "hi", "hio", ROLES, follows)
    assert run("microgpt", "chat", "--model-dir", "hi", "oh", cwd=tmp_path).stdout == "hi\n"


# S4.23, S4.24, S4.48, S4.14
def test_chat_training_adds_the_special_tokens(chat) -> None:
    meta = json.loads((chat / "chat-model" / "meta.json").read_text(encoding="utf-8"))
    turns = [json.loads(line) for line in (chat / "convos.jsonl").read_text().splitlines() if line]
    text = "".join(turn["content"] for conversation in turns for turn in conversation)
    assert meta["special_tokens"] == ROLES
    assert meta["chars"] == sorted(set(text))
    assert meta["vocab_size"] == len(meta["chars"]) + 4
    assert meta["block_size"] == 64


# S2.8, S4.22, S4.24, S4.25b, S4.26, S4.34: the last reply needs the turns before it
def test_chat_answers_turn_after_turn(run, chat) -> None:
    args = ("chat", "--model-dir", "chat-model", "--temperature", "0.5")
    done = run("microgpt", *args, cwd=chat, stdin="hello\nhow are you\nbye\n")
    assert done.stdout == "hi there\nfine\nsee you\n"


# S4.26, D.6
@pytest.mark.slow
def test_chat_is_a_loop_in_a_terminal(chat) -> None:
    ours, theirs = pytest.importorskip("pty", reason="no terminals").openpty()
    command = [Path(sys.executable).with_name("microgpt"), "chat", "--model-dir", "chat-model"]
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    env = {**os.environ, "TERM": "dumb", "NO_COLOR": "1"}
    with subprocess.Popen(command, cwd=chat, env=env, **streams) as process:
        os.close(theirs)
        for message, reply in (b"hello\n", b"hi there"), (b"how are you\n", b"fine"):
            os.write(ours, message)
            seen = b""
            while reply not in seen:
                seen += os.read(ours, 4096)
        os.write(ours, b"\x04")  # Ctrl-D
        assert process.wait(timeout=60) == 0
    os.close(ours)


# S4.34e
def test_a_model_without_chat_tokens_cannot_chat(run, names) -> None:
    error = refusal(run("microgpt", "chat", "--model-dir", "output", "hello", cwd=names, code=2))
    assert "--chat" in error


# S4.24e
@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('[{"role": "user", "content": "a"}', "JSON"),
        ('[{"role": "robot", "content": "a"}]', "robot"),
        ('[{"role": "user"}]', "content"),
    ],
)
def test_a_wrong_conversation_is_refused(run, line: str, named: str, chat, tmp_path) -> None:
    good = (chat / "convos.jsonl").read_text(encoding="utf-8").splitlines()[0]
    (tmp_path / "bad.jsonl").write_text(f"{good}\n{line}\n", encoding="utf-8")
    args = ("train", "--chat", "--input", "bad.jsonl", "--output", "x")
    error = refusal(run("microgpt", *args, cwd=tmp_path, code=2))
    assert "bad.jsonl" in error
    assert "line 2" in error
    assert named in error
    assert not (tmp_path / "x").exists()


# S4.31a, S4.22, S4.24: the document's dimensions, fewer steps
@pytest.mark.slow
def test_the_documents_chat_command_trains_a_chat_model(run, compiled, chat) -> None:
    args = "--input convos.jsonl --output large --chat --n-embd 128 --n-head 8 --n-layer 4"
    steps = ("--block-size", "256", "--steps", "100")
    run("microgpt", "train", *args.split(), *steps, cwd=chat)
    info = run("microgpt", "info", "--model-dir", "large", cwd=chat).stdout
    assert shape(info).startswith("128 8 4 256 ")
    assert re.findall(r"\w+", facts(info)["special_tokens"]) == ROLES
    done = run("microgpt", "chat", "--model-dir", "large", "how are you", cwd=chat)
    assert done.stdout == "fine\n"
