import json
import math

import pytest
from commands import refused

from microgpt import InferenceGpt, Message, load
from microgpt.evaluation.explanation import explain


def test_explain_prints_the_same_result_as_the_library(microgpt, text_model) -> None:
    done = microgpt("explain", text_model, "anna", "--top", "2")
    result = explain(InferenceGpt(load(text_model)), "anna", n_alternatives=2)
    *lines, total = done.stdout.splitlines()
    assert done.returncode == 0
    assert [line.split()[0] for line in lines] == [*"anna", "<|bos|>"]
    for line, prediction in zip(lines, result.predictions, strict=True):
        assert f" {prediction.probability:.2%} " in line
        assert f" {prediction.bits:.1f} bits " in line
        assert f"{prediction.alternatives[0].text} " in line
    assert total == f"{result.bits:.1f} bits in all, {result.bits / 5:.2f} per token"


def test_running_text_is_explained_without_an_end_token(microgpt, tmp_path) -> None:
    (tmp_path / "text.txt").write_text("It rained all day. " * 20)
    microgpt("train", "--data=text.txt", "--text=stream", "--steps=20", "--model=model")
    (tmp_path / "new.txt").write_text("It rained all")
    loss = json.loads(microgpt("eval", "model", "--data=new.txt", "--json").stdout)
    mean = f"{loss['loss'] / math.log(2):.2f}"
    *lines, total = microgpt("explain", "model", "It rained all").stdout.splitlines()
    assert len(lines) == loss["n_tokens"] == len("It rained all")
    assert total.endswith(f" bits in all, {mean} per token")
    assert microgpt("score", "model", "--data=new.txt").stdout.split()[0] == mean
    facts = json.loads(microgpt("explain", "model", "day", "--json").stdout)
    assert (facts["n_scored"], len(facts["predictions"])) == (3, 4)
    assert microgpt("explain", "model", "").stdout == "0.0 bits in all, 0.00 per token\n"


def test_the_json_output_of_explain_equals_the_library_result(
    microgpt, text_model, chat_model
) -> None:
    done = microgpt("explain", text_model, "anna", "--json")
    result = explain(InferenceGpt(load(text_model)), "anna")
    assert json.loads(done.stdout) == json.loads(json.dumps(result.facts()))
    done = microgpt("explain", chat_model, "hi", "yo", "--json")  # a conversation, turn by turn
    messages = [Message("user", "hi"), Message("assistant", "yo")]
    result = explain(InferenceGpt(load(chat_model)), messages)
    assert json.loads(done.stdout) == json.loads(json.dumps(result.facts()))


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["anna", "emma"], "2 texts are given, but the model is not a chat model; pass one text"),
        (["anna", "--top=-1"], "must be greater than or equal to 0"),
    ],
)
def test_bad_input_to_explain_gives_a_one_line_error(microgpt, text_model, args, problem) -> None:
    assert problem in refused(microgpt("explain", text_model, *args))
