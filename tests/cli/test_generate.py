import json
import re

import pytest
from commands import ok, refused


@pytest.fixture
def samples(microgpt, text_model):
    """Run `generate` on a model of four names; return the samples."""

    def run(*args: str, model=text_model) -> list[str]:
        done = ok(microgpt("generate", "--model-dir", model, "--json", *args))
        found: list[str] = json.loads(done.stdout)["samples"]
        return found

    return run


def test_generate_prints_the_same_samples_as_lines_and_as_json(microgpt, text_model, samples):
    args = ["--num-samples", "120", "--temperature", "2"]
    expected = samples(*args)
    assert len(expected) == 120
    assert samples(*args, "--threads", "3") == expected != samples(*args, "--seed", "7")
    lines = microgpt("generate", "--model-dir", text_model, *args).stdout.splitlines()
    assert lines == [f"sample {i:2d}: {text}" for i, text in enumerate(expected, start=1)]


def test_a_random_seed_is_printed_and_gives_the_same_samples(microgpt, text_model, samples) -> None:
    args = ("--temperature", "2")
    drawn = [microgpt("generate", "--model", text_model, *args, "--seed=random") for _ in range(2)]
    assert drawn[0].stdout != drawn[1].stdout
    printed = re.fullmatch(r"note: --seed (\d+)\n", drawn[0].stderr)
    assert printed
    expected = samples(*args, "--seed", printed[1])
    assert drawn[0].stdout.splitlines() == [
        f"sample {i:2d}: {text}" for i, text in enumerate(expected, start=1)
    ]


def test_the_start_of_an_overlong_prompt_is_dropped_with_a_note(microgpt, text_model) -> None:
    done = microgpt("generate", "--model-dir", text_model, "anna" * 5, "--json")
    assert json.loads(done.stdout)["samples"][0].startswith("anna" * 5)
    assert "does not fit into the context; its first 12 tokens are ignored" in done.stderr


def test_the_unique_option_prints_each_sample_once_in_order(samples) -> None:
    args = ["--temperature", "2"]
    found = samples(*args, "--unique", "--num-samples", "40")
    everything = samples(*args, "--num-samples", "400")
    assert found == list(dict.fromkeys(everything))[:40]


def test_the_unique_option_stops_if_nothing_new_is_generated(microgpt, text_model) -> None:
    done = ok(microgpt("generate", "--model", text_model, "--unique", "--temperature", "0"))
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr.startswith("note: stopped after 1 samples, because 10,000 in a row")


def test_the_novel_option_skips_training_data_in_any_case(microgpt, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("Anna\nanno\n")
    microgpt("train", "--data", "names.txt", "--model", "m", "--steps", "100", "--seed", "1")
    done = ok(microgpt("generate", "--model", "m", "--novel", "-n", "5"))
    assert len(done.stdout.splitlines()) == 5
    assert not re.search(": (anna|anno)$", done.stdout, re.IGNORECASE | re.MULTILINE)
    (tmp_path / "m" / "documents.crc32").unlink()
    error = refused(microgpt("generate", "--model", "m", "--novel"))
    assert error == "m does not record all documents that it was trained on; omit --novel"


def test_generate_warns_that_a_model_was_trained_only_to_reply(microgpt, chat_model) -> None:
    done = ok(microgpt("generate", "--model-dir", chat_model, "--num-samples", "1"))
    assert "trained only to reply" in done.stderr
    assert f"microgpt chat --model {chat_model}" in done.stderr


@pytest.mark.parametrize("others", [(), ("--unique",), ("a",)])
def test_the_matches_option_leaves_out_samples_that_do_not_match(samples, others) -> None:
    args = ["--temperature", "2", *others]
    found = samples(*args, "--matches", ".*[mn].*a", "--num-samples", "30")
    everything = samples(*args, "--num-samples", "400")
    assert found == [text for text in everything if re.fullmatch(".*[mn].*a", text)][:30]
    assert len(found) == 30
