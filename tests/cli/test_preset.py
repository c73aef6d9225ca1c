"""`microgpt train --preset`, whose data are a part of it."""

import json

import pytest


@pytest.mark.slow
def test_a_preset_fixes_what_no_option_says_and_is_remembered(microgpt, tmp_path) -> None:
    done = microgpt("train", "--preset", "chat", "--steps", "2", "--batch-size", "3")
    assert done.returncode == 0, done.stderr
    meta = json.loads((tmp_path / "output" / "meta.json").read_text())
    assert (meta["n_embd"], meta["n_layer"], meta["n_ff_exp"]) == (64, 6, 1)
    assert "end_turn" in meta["special_tokens"]
    training = meta["training"]
    assert (training["preset"], training["steps"], training["batch_size"]) == ("chat", 2, 3)


@pytest.mark.slow
def test_a_training_on_a_presets_own_data_goes_on_and_takes_no_other_data(
    microgpt, tmp_path
) -> None:
    options = ("train", "--preset", "chat", "--steps", "6", "--n-embd", "8", "--n-layer", "1")
    microgpt(*options, "--output", "part", "--checkpoint-every", "2")
    state = tmp_path / "part" / "train_state.json"
    assert json.loads(state.read_text())["input"] is None
    done = microgpt("train", "--resume", "part", "--steps", "9")
    assert done.returncode == 0, done.stderr
    assert "going on after step 6 of 9" in done.stderr
    other = tmp_path / "other.jsonl"
    other.write_text('[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]')
    refused = microgpt("train", "--resume", "part", "--steps", "12", "--input", other)
    assert refused.returncode == 2
    assert "is not what the training began with" in refused.stderr


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--preset", "names"), "is not one of 'names-10s', 'names-60s'"),
        (("--preset", "text"), "is for data of your own; name them with --input"),
        (("--preset", "names-60s", "--dropout", "1"), "dropout must be in [0, 1), got 1.0"),
        (("--preset", "chat", "--genome", "genome.json"), "leave one of them out"),
        (("--preset", "chat", "--num-samples", "3"), "--num-samples does not go with --chat"),
    ],
)
def test_what_does_not_go_with_a_preset_is_refused(microgpt, options, problem) -> None:
    done = microgpt("train", *options)
    assert done.returncode == 2
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) == 1
