import json

from microgpt import InferenceGpt, Message, load
from microgpt.evaluation import explain


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


def test_the_json_of_explain_equals_the_library_result(microgpt, text_model, chat_model) -> None:
    done = microgpt("explain", text_model, "anna", "--json")
    result = explain(InferenceGpt(load(text_model)), "anna")
    assert json.loads(done.stdout) == json.loads(json.dumps(result.facts()))
    done = microgpt("explain", chat_model, "hi", "yo", "--json")  # a conversation, turn by turn
    messages = [Message("user", "hi"), Message("assistant", "yo")]
    result = explain(InferenceGpt(load(chat_model)), messages)
    assert json.loads(done.stdout) == json.loads(json.dumps(result.facts()))
