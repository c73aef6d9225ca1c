"""`microgpt eval`, as it is used."""

import json
import math

import pytest


def test_eval_prints_the_loss_in_nats_and_bits(microgpt, text_model, tmp_path) -> None:
    (tmp_path / "held-out.txt").write_text("anna\nmia\n")
    done = microgpt("eval", text_model, "--data", "held-out.txt")
    assert done.returncode == 0
    assert done.stdout.startswith("documents:  2\ntokens:     9\nloss:       ")
    as_json = microgpt("eval", text_model, "--data", "held-out.txt", "--json")
    facts = json.loads(as_json.stdout)
    assert (facts["n_docs"], facts["n_tokens"]) == (2, 9)
    bits = facts["loss"] / math.log(2)
    assert done.stdout.endswith(f"{facts['loss']:.4f} nats a token ({bits:.4f} bits)\n")


def test_eval_reads_conversations_for_a_chat_model(microgpt, chat_model, tmp_path) -> None:
    line = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]
    (tmp_path / "chat.jsonl").write_text(json.dumps(line))
    done = microgpt("eval", chat_model, "--data", "chat.jsonl")
    assert done.stdout.startswith("documents:  1\ntokens:     3\n")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot read held-out.txt"),
        ("", "held-out.txt is empty"),
        ("xenia", "the model does not know 'x'"),
    ],
)
def test_eval_refuses_what_it_cannot_score(
    microgpt, text_model, tmp_path, content, problem
) -> None:
    if content is not None:
        (tmp_path / "held-out.txt").write_text(content)
    done = microgpt("eval", text_model, "--data", "held-out.txt")
    assert done.returncode == 2
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_eval_refuses_a_model_that_is_not_there(microgpt) -> None:
    done = microgpt("eval", "nowhere", "--data", "held-out.txt")
    assert done.returncode == 2
    assert done.stderr.startswith("error: nowhere does not exist; name one that")
