import shutil

import pytest

from microgpt.evaluation.scoring import Scorer

PAGE = "/microgpt/v1/score"
TEXTS = ["anna", "", "x\u2028é", "annaannaannaannaannaanna"]


def test_score_returns_the_same_scores_as_the_library(names, names_gpt) -> None:
    reply = names.request("POST", PAGE, {"texts": TEXTS, "characters": True}).json
    for found, score in zip(reply["scores"], Scorer(names_gpt).score(TEXTS), strict=True):
        assert found == {
            "bits_per_character": score.bits_per_character,
            "bits": score.bits,
            "n_unknown": score.n_unknown,
            "character_bits": score.character_bits.tolist(),
        }


def test_score_returns_the_same_scores_as_the_command_line(
    serve, names_dir, microgpt, tmp_path
) -> None:
    model = shutil.copytree(names_dir, tmp_path / "calibrated")
    (tmp_path / "good.txt").write_text("anna\nemma\nolivia\n")
    microgpt("score", model, "--calibrate", "good.txt")
    printed = microgpt("score", model, stdin="anna\nemma\n").stdout.splitlines()
    server = serve(model)
    scores = server.request("POST", PAGE, {"texts": ["anna", "emma"]}).json["scores"]
    for line, found in zip(printed, scores, strict=True):
        bits, percentile, sign, *_ = line.split()
        assert (f"{found['bits_per_character']:.2f}", sign) == (bits, "%")
        assert f"{found['percentile']:.1f}" == percentile
        assert "character_bits" not in found


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "texts"),
        ({"texts": []}, "texts"),
        ({"texts": "anna"}, "texts"),
        ({"texts": ["a"] * 1025}, "texts"),
        ({"texts": ["a" * 140_000]}, "at most 131072 are allowed"),
    ],
)
def test_invalid_score_requests_are_refused(names, body, problem) -> None:
    reply = names.request("POST", PAGE, body)
    assert reply.status == 400
    assert problem in reply.json["error"]


def test_a_score_request_to_a_chat_model_is_refused(talk) -> None:
    reply = talk.request("POST", PAGE, {"texts": ["hi"]})
    assert reply.status == 400
    assert "a chat model cannot score texts" in reply.json["error"]
