"""The commands on a real (pseudo-)terminal, with real keys."""

import json

import pexpect

EXCHANGE = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "yo", "task": "greet"},
]


def test_train_removes_its_progress_before_the_results(terminal, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("anna\n")
    size = (24, 60)
    child = terminal("train", "--data=names.txt", "--steps=60", "--num-samples=1", size=size)
    child.expect(r"step +\d+ / +60 \| \S+ .*left \| mean loss \d\.\d{3}, last \d\.\d{3}")
    assert len(child.after) < 60  # on one line
    child.expect_exact("\r\x1b[K")
    child.expect_exact("step   60 /   60 | loss ")
    child.expect_exact("sample  1: ")
    assert child.exit_code() == 0


def test_samples_cannot_send_commands_to_the_terminal(terminal, microgpt, tmp_path) -> None:
    (tmp_path / "texts").write_text("\x1b[2Jhi\x7f\n")
    trained = terminal("train", "--input", "texts", "--dropout", "0", "--steps", "200")
    trained.expect_exact("sample  1: \\x1b[2Jhi\\x7f\r\n")
    trained.expect(pexpect.EOF)
    child = terminal("generate", "--num-samples", "1")
    child.expect_exact("sample  1: \\x1b[2Jhi\\x7f\r\n")
    child.expect_exact("use --seed random")
    piped = microgpt("generate", "--num-samples", "1")
    assert piped.stdout == "sample  1: \x1b[2Jhi\x7f\n"  # whoever reads it there wants it as it is


def test_ctrl_c_ends_eval_while_it_compares_replies(terminal, endless_model, tmp_path) -> None:
    (tmp_path / "exam.jsonl").write_text(f"{json.dumps(EXCHANGE)}\n" * 4)
    child = terminal("eval", endless_model, "--data", "exam.jsonl", "--threads", "2")
    child.expect_exact("replies")
    child.sendintr()
    child.expect_exact("interrupted")
    assert child.exit_code() == 130
