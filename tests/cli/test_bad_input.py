"""Each bad input, given to the real command: one clear line, the right exit code, nothing lost."""

import json
import os
from pathlib import Path

import pytest
from commands import refused

CHAT_LINE = json.dumps([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}])


def check_refused(done, problem: str, code: int = 2) -> None:
    """Assert that a command ended with one line that says what was wrong."""
    assert problem in refused(done, code)
    assert "Traceback" not in done.stdout


@pytest.fixture
def names(tmp_path: Path) -> Path:
    """A small training file."""
    path = tmp_path / "names.txt"
    path.write_text("anna\nemma\n")
    return path


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["--n-embd", "15"], "n_embd (15) must be divisible by n_head (4); try n_embd 16"),
        (["--n-embd", "0"], "n_embd must be >= 1, got 0"),
        (["--n-head", "0"], "n_head must be >= 1, got 0"),
        (["--n-layer", "-1"], "n_layer must be >= 1, got -1"),
        (["--block-size", "0"], "block_size must be >= 1, got 0"),
        (["--n-ff-exp", "-2"], "n_ff_exp must be >= 1, got -2"),
        (["--steps", "0"], "steps must be >= 1, got 0"),
        (["--batch-size", "0"], "batch_size must be >= 1, got 0"),
        (["--lr", "0"], "--learning-rate must be a number greater than 0, got 0"),
        (["--lr", "nan"], "--learning-rate must be a number greater than 0, got nan"),
        (["--seed", "-1"], "seed must be >= 0, got -1"),
        (["--num-samples", "-1"], "--num-samples (-n) must be >= 0, got -1"),
        (["--patience", "0"], "patience must be >= 1, got 0"),
        (["--patience", "2"], "--patience requires --val-fraction"),
        (["--loss-on", "all"], "--loss-on requires --chat"),
        (["--vocab-size", "300"], "--vocab-size requires --tokenizer bpe; add --tokenizer bpe or"),
        (["--tokenizer", "bpe", "--vocab-size", "256"], "vocab_size must be >= 257 (256 bytes"),
        (["--text", "stream", "--chat"], "--chat cannot be used with --text stream"),
        (["--text", "stream", "--long-docs", "skip"], "--long-docs cannot be used with --text"),
        (
            ["--text", "stream", "--val-fraction", "0.01", "--holdout", "tail"],
            "the validation split is empty; add text",
        ),
        (
            ["--text", "stream", "--val-fraction", "0.2"],
            'the train split is empty; add text or use holdout "tail"',
        ),
        (["--long-docs", "skip", "--block-size", "2"], "all documents are longer than the context"),
        (["--val-fraction", "1"], "the validation fraction must be in [0, 1), got 1.0"),
        (["--val-fraction", "0.5", "--test-fraction", "0.5"], "must be less than 1"),
        (["--val-fraction", "0.001"], "too few documents (2): the validation split is empty"),
        (["--checkpoint-every", "0"], "checkpoint_every must be >= 1, got 0"),
        (["--format", "pickle"], "invalid value for '--format': 'pickle' is not one of"),
        (["--from", "nowhere"], "nowhere does not exist; use a directory"),
        (["--steps", "many"], "unable to parse string as an integer, got 'many'; see "),
        (["--minutes", "1m"], "unable to parse string as a number, got '1m'; see "),
        (["--stepz", "5"], "no such option: --stepz"),
        (["--steps"], "option '--steps' requires an argument; see 'microgpt train --help"),
        (["names.txt"], "unexpected extra argument(s) (names.txt); see 'microgpt train --help"),
        (["--data", "more.txt"], "--data is given more than once; join the files, for example"),
        (["--seed", "1", "--seed=1"], "--seed is given more than once; it takes one value"),
    ],
)
def test_train_refuses_invalid_settings(microgpt, names, tmp_path, args, problem) -> None:
    check_refused(microgpt("train", "--input", names, *args), problem)
    assert os.listdir(tmp_path) == ["names.txt"]


def test_a_file_without_its_option_gets_a_hint(microgpt, names) -> None:
    done = microgpt("train", "names.txt")
    check_refused(done, "extra argument(s) (names.txt); to read a file, use --data names.txt; see ")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot read data: No such file or directory"),
        (b"\n \n", "data is empty; write one document per line"),
        (b"anna\nren\xe9\n", "data is not UTF-8 text (line 2 has the byte 0xe9); it seems to be"),
    ],
)
def test_train_refuses_a_text_file(microgpt, tmp_path, content, problem) -> None:
    if content is not None:
        (tmp_path / "data").write_bytes(content)
    check_refused(microgpt("train", "--input", "data", "--output", "a/model"), problem)
    problem = problem.replace(
        "is empty; write one document per line", "has no text; use another file"
    )
    stream = ("--text", "stream", "--output", "a/model")
    check_refused(microgpt("train", "--input", "data", *stream), problem)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'[{"role": "user"', "data, line 2: invalid JSON: EOF while parsing an object at column"),
        (b"\xff", "not UTF-8 text (line 2 has the byte 0xff)"),
    ],
)
def test_train_refuses_a_conversation_file(microgpt, tmp_path, line, problem) -> None:
    (tmp_path / "data").write_bytes(CHAT_LINE.encode() + b"\n" + line + b"\n")
    check_refused(microgpt("train", "--chat", "--input", "data"), problem)
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize("output", ["names.txt", "/proc/nowhere/model"])
def test_train_refuses_an_output_that_it_cannot_write(microgpt, names, output) -> None:
    done = microgpt("train", "--input", names, "--output", output)
    check_refused(done, output)
    assert done.stdout == ""  # before any work
    assert names.read_text() == "anna\nemma\n"


def test_train_prints_no_samples_of_a_chat_model(microgpt) -> None:
    check_refused(
        microgpt("train", "--chat", "--num-samples", "5"), "--num-samples cannot be used with"
    )


def test_a_diverged_training_saves_weights_beside_the_old_model(
    microgpt, names, text_model
) -> None:
    old = (text_model / "weights.json").read_bytes()
    done = microgpt("train", "--input", names, "--output", text_model, "--lr", "1e200", "--force")
    check_refused(done, "the loss or its gradient became nan or infinite at step 2 of ", code=1)
    kept = text_model.with_name("text-model.diverged")
    assert f"(the last good weights are in {kept})" in done.stderr
    assert (text_model / "weights.json").read_bytes() == old
    assert microgpt("generate", "--model-dir", kept, "--num-samples", "1").returncode == 0


def test_a_divergence_is_reported_even_if_nothing_can_be_saved(microgpt, names, tmp_path) -> None:
    (tmp_path / "output.diverged").touch()
    done = microgpt("train", "--input", names, "--steps", "1", "--lr", "1e200")
    check_refused(done, "nan or infinite after step 1 of 1; try a learning rate", code=1)
    assert "were not saved" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["names.txt", "output", "output.diverged"]
    again = microgpt("train", "--input", names, "--steps", "1")  # nothing there to go on with
    assert again.returncode == 0


COMMANDS = ["generate", "chat", "info"]


@pytest.mark.parametrize(
    "command", ["generate", "chat --model-dir output", "info", "eval --data x"]
)
def test_a_missing_model_is_an_error(microgpt, tmp_path, command) -> None:
    remedy = "use a directory written by `microgpt train`"
    check_refused(microgpt(*command.split()), f"output does not exist; {remedy}")
    (tmp_path / "output").mkdir()
    check_refused(microgpt(*command.split()), f"output has no model; {remedy}")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_damaged_model_is_an_error(microgpt, chat_model, command) -> None:
    (chat_model / "meta.json").write_text("")
    problem = f"{chat_model}/meta.json: invalid JSON: EOF"
    check_refused(microgpt(command, "--model-dir", chat_model), problem)


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["--prompt", "aña"], "the vocabulary does not contain 'ñ'; it contains 'aeimnv'"),
        (["--max-tokens", "1000000"], "max_tokens must be at most 100000"),
        (["--temperature", "-1"], "temperature must be >= 0, got -1.0"),
        (["--temperature", "nan"], "temperature must be a finite number >= 0, got nan"),
        (["--num-samples", "0"], "--num-samples (-n) must be >= 1, got 0"),
        (["--seed", str(2**63)], "seed must be at most 9223372036854775807"),
    ],
)
def test_generate_refuses_invalid_settings(microgpt, text_model, args, problem) -> None:
    check_refused(microgpt("generate", "--model-dir", text_model, *args), problem)


def test_chat_refuses_a_model_without_chat_tokens(microgpt, text_model) -> None:
    done = microgpt("chat", "--model-dir", text_model)
    check_refused(done, "or sample from this one with microgpt generate --model ")


@pytest.mark.parametrize(("option", "value"), [("--temperature", "-1"), ("--seed", "-1")])
def test_chat_refuses_invalid_settings(microgpt, chat_model, option, value) -> None:
    done = microgpt("chat", "--model-dir", chat_model, option, value)
    check_refused(done, f"{option[2:]} must be >= 0, got -1")


def test_verify_refuses_more_steps_than_the_run_has(microgpt) -> None:
    check_refused(microgpt("verify", "--steps", "1001"), "steps must be from 1 to 1000, got 1001")


@pytest.mark.parametrize("command", [*COMMANDS, "train", "verify"])
def test_an_unknown_option_is_an_error(microgpt, command) -> None:
    done = microgpt(command, "--zoom")
    check_refused(done, "no such option: --zoom")
    assert f"see 'microgpt {command} --help" in done.stderr


def test_an_option_without_a_value_refers_to_its_commands_help(microgpt) -> None:
    check_refused(microgpt("generate", "-n"), "see 'microgpt generate --help'")


@pytest.mark.parametrize(
    "args", [("--dropout", "much"), ("--positions", "spiral"), ("--weight-decay",)]
)
def test_a_hidden_option_refers_to_the_full_help(microgpt, args) -> None:
    check_refused(microgpt("train", *args), "see 'microgpt train --help-all'")
    check_refused(microgpt("train", "--steps", "many"), "see 'microgpt train --help'")


def test_an_unknown_command_is_an_error(microgpt) -> None:
    check_refused(microgpt("fly"), "no such command 'fly'; see 'microgpt --help'")


def test_an_argument_that_is_not_utf8_gives_no_traceback(microgpt, text_model) -> None:
    prompt = os.fsdecode(b"a\xff")
    check_refused(
        microgpt("generate", "--model-dir", text_model, "--prompt", prompt), "does not contain"
    )


def test_evolve_explains_why_it_reads_a_genome(microgpt, names, tmp_path) -> None:
    (tmp_path / "genome.json").write_text("mine")
    problem = "(the winner is compared with the genome.json of this directory; rename that file, or"
    check_refused(microgpt("evolve", "--data", names), problem)
    assert (tmp_path / "genome.json").read_text() == "mine"
