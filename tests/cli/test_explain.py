import json
import shutil

import pytest
from commands import ok, refused

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


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["anna", "emma"], "2 texts are given, but this needs one; put it into quotes"),
        (["anna", "--top=-1"], "must be greater than or equal to 0"),
    ],
)
def test_bad_input_to_explain_gives_a_one_line_error(microgpt, text_model, args, problem) -> None:
    assert problem in refused(microgpt("explain", text_model, *args))


def test_commands_take_a_model_as_an_argument_or_with_an_option(
    microgpt, text_model, tmp_path
) -> None:
    shutil.copytree(text_model, tmp_path / "output")
    (tmp_path / "lines.txt").write_text("anna\n")
    commands = [
        ("explain", "anna"),
        ("generate", "an", "-n", "3"),
        ("score", "--data", "lines.txt"),
    ]
    commands += [("eval", "--data", "lines.txt"), ("info",)]
    for name, *rest in commands:
        expected = ok(microgpt(name, *rest)).stdout  # with the model in output
        assert ok(microgpt(name, text_model, *rest)).stdout == expected, name
        assert ok(microgpt(name, *rest, "--model", text_model)).stdout == expected, name


@pytest.mark.parametrize("command", ["explain", "generate", "chat"])
def test_the_first_of_several_words_is_a_model(microgpt, text_model, command) -> None:
    problem = refused(microgpt(command, "once", "upon", "a time"))
    assert problem.startswith("'once' is not a model")
    assert "quotes" in problem
    assert "2 texts are given" in refused(microgpt(command, text_model, "anna", "emma"))
