import json
import math

import pytest
from commands import ok


def test_eval_prints_the_loss_in_nats_and_bits(microgpt, text_model, tmp_path) -> None:
    (tmp_path / "held-out.txt").write_text("anna\nmia\n")
    done = ok(microgpt("eval", text_model, "--data", "held-out.txt"))
    assert done.stdout.startswith("documents:  2\ntokens:     9\nloss:       ")
    as_json = microgpt("eval", text_model, "--data", "held-out.txt", "--json")
    facts = json.loads(as_json.stdout)
    assert (facts["n_docs"], facts["n_tokens"]) == (2, 9)
    bits = facts["loss"] / math.log(2)
    assert (
        f"{facts['loss']:.4f} nats per token ({bits:.4f} bits) (contamination 100 %)\n"
        in done.stdout
    )


def test_eval_reads_conversations_for_a_chat_model(microgpt, chat_model, tmp_path) -> None:
    line = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]
    (tmp_path / "chat.jsonl").write_text(json.dumps(line))
    done = microgpt("eval", chat_model, "--data", "chat.jsonl")
    assert done.stdout.startswith("documents:  1\ntokens:     3 in assistant messages\n")


@pytest.fixture
def exam(tmp_path):
    """A file of conversations with tasks; the model says "yo" to "hi"."""

    def ask(*exchanges: tuple[str, str, str | None]) -> str:
        lines = []
        for prompt, reply, task in exchanges:
            answer = {"role": "assistant", "content": reply, "task": task}
            lines.append(json.dumps([{"role": "user", "content": prompt}, answer]))
        (tmp_path / "exam.jsonl").write_text("\n".join(lines))
        return "exam.jsonl"

    return ask


def test_eval_counts_exact_replies_per_task(microgpt, chat_model, exam) -> None:
    wrong = ("hi", "oh", "tease"), ("hi", "oho", "tease"), ("hi", "yo", "tease")
    file = exam(("hi", "yo", "greet"), *wrong, ("hi", "hi", None))
    done = ok(microgpt("eval", chat_model, "--data", file))
    assert "note: 40.0% of this text is training data" in done.stderr  # "hi" and "yo"
    table, errors = done.stdout.split("\n\n")[1:3]
    assert "95% interval (contamination 40 %)" in table
    assert [line.split() for line in table.splitlines()[1:]] == [
        ["greet", "1", "1", "100.0%", "20.7%", "to", "100.0%"],
        ["tease", "3", "1", "33.3%", "6.1%", "to", "79.2%"],
        ["all", "tasks", "4", "2", "50.0%", "15.0%", "to", "85.0%"],
    ]
    assert "  tease, line 2: 'hi': expected 'oh', got 'yo'\n" in errors
    assert errors.count("expected") == 2


def test_the_json_output_of_eval_locates_every_error(microgpt, chat_model, exam) -> None:
    file = exam(("hi", "yo", "greet"), *[("hi", "oh", "tease")] * 9)
    done = microgpt("eval", chat_model, "--data", file, "--json", "--threads", "2")
    replies = json.loads(done.stdout)["replies"]
    assert (replies["n"], replies["n_exact"], replies["share"]) == (10, 1, 0.1)
    assert replies["interval"] == pytest.approx([0.0179, 0.4042], abs=5e-5)
    tasks = {task: (facts["n"], facts["n_exact"]) for task, facts in replies["tasks"].items()}
    assert tasks == {"greet": (1, 1), "tease": (9, 0)}
    assert replies["contamination"] == 0.1
    assert [error["line"] for error in replies["errors"]] == list(range(2, 11))
    where, what = {"line": 2, "message": 1}, {"prompt": "hi", "expected": "oh", "reply": "yo"}
    assert replies["errors"][0] == {"task": "tease", **where, **what, "problem": None}


def test_eval_reports_dropped_turns(microgpt, chat_model, tmp_path) -> None:
    hi = {"role": "user", "content": "hi"}
    yo = {"role": "assistant", "content": "yo", "task": "greet"}
    (tmp_path / "long.jsonl").write_text(json.dumps([hi, yo] * 5))
    done = microgpt("eval", chat_model, "--data", "long.jsonl", "--json")
    dropped = "note: the oldest turns of 2 of 5 prompts were dropped to fit the context\n"
    assert done.stderr.endswith(dropped)
    assert json.loads(done.stdout)["replies"]["n_cut"] == 2


def test_eval_without_tasks_reports_no_exact_matches(microgpt, chat_model, exam) -> None:
    done = microgpt("eval", chat_model, "--data", exam(("hi", "yo", None)))
    assert "exact" not in done.stdout
    assert "replies" not in done.stdout
    as_json = microgpt("eval", chat_model, "--data", exam(("hi", "yo", None)), "--json")
    facts = json.loads(as_json.stdout)
    sizes = ["n_docs", "n_tokens", "n_characters"]
    assert list(facts) == ["loss", *sizes, "bits_per_character", "training_share", "calibration"]
