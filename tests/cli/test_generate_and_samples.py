import json
import random
import re

import pytest
from commands import ok, refused

from microgpt import InferenceGpt, ModelConfig, Sampling, TrainConfig, load, train
from microgpt_cli.samples import copied_share, note_faults, usual_length, usual_temperature


@pytest.fixture
def samples(microgpt, text_model):
    """A function that runs `generate` on a model of four names, and returns the samples."""

    def run(*args: str, model=text_model) -> list[str]:
        done = ok(microgpt("generate", "--model-dir", model, "--json", *args))
        found: list[str] = json.loads(done.stdout)["samples"]
        return found

    return run


@pytest.mark.compiled
def test_samples_depend_on_the_seed_not_on_threads_or_format(microgpt, text_model, samples):
    args = ["--num-samples", "120", "--temperature", "2"]
    expected = samples(*args)
    assert len(expected) == 120
    assert samples(*args, "--threads", "3") == expected != samples(*args, "--seed", "7")
    lines = microgpt("generate", "--model-dir", text_model, *args).stdout.splitlines()
    assert lines == [f"sample {i:2d}: {text}" for i, text in enumerate(expected, start=1)]


@pytest.mark.compiled
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


def test_a_note_says_how_much_of_an_overlong_prompt_is_ignored(microgpt, text_model) -> None:
    done = microgpt("generate", "--model-dir", text_model, "anna" * 5, "--json")
    assert json.loads(done.stdout)["samples"][0].startswith("anna" * 5)
    assert "does not fit into the context; its first 12 tokens are ignored" in done.stderr


def test_the_unique_option_skips_repeated_samples(samples) -> None:
    args = ["--temperature", "2"]
    found = samples(*args, "--unique", "--num-samples", "40")
    everything = samples(*args, "--num-samples", "400")
    assert found == list(dict.fromkeys(everything))[:40]


@pytest.mark.compiled
def test_the_unique_option_stops_if_nothing_new_is_generated(microgpt, text_model) -> None:
    done = ok(microgpt("generate", "--model", text_model, "--unique", "--temperature", "0"))
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr.startswith("note: stopped after 1 samples, because 10,000 in a row")


@pytest.mark.compiled
def test_novel_skips_training_documents_and_needs_their_record(microgpt, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("Anna\nanno\n")
    microgpt("train", "--data", "names.txt", "--model", "m", "--steps", "100", "--seed", "1")
    done = ok(microgpt("generate", "--model", "m", "--novel", "-n", "5"))
    assert len(done.stdout.splitlines()) == 5
    assert not re.search(": (anna|anno)$", done.stdout, re.IGNORECASE | re.MULTILINE)
    (tmp_path / "m" / "documents.crc32").unlink()
    error = refused(microgpt("generate", "--model", "m", "--novel"))
    assert error == "m does not record all documents that it was trained on; omit --novel"


def test_generate_suggests_chat_if_a_model_was_trained_only_to_reply(microgpt, chat_model) -> None:
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


SMALL = ("--n-embd", "8", "--n-layer", "1", "--steps", "30", "--num-samples", "2")
TUNES = "\n%\n".join(f"K:{key}\nab cd ef|\n{key * 8}|" for key in "ABCDEFG" * 9)


def result_of(docs: list[str], **config):
    how = TrainConfig(steps=1, **config)
    return train(docs, model=ModelConfig(n_embd=8, block_size=16), config=how)


@pytest.mark.parametrize(
    ("doc", "text", "expected"),
    [
        ("anna", "lines", Sampling.temperature),
        ("ACGTACGTA", "lines", 1.0),
        ("a tune\nb", "lines", 0.8),
        ("a long line of running text " * 9, "stream", 0.8),
    ],
)
def test_the_default_temperature_depends_on_the_kind_of_text(doc, text, expected) -> None:
    assert usual_temperature(result_of([doc], text=text)) == expected


@pytest.mark.compiled
def test_generate_derives_length_and_temperature_from_the_data(microgpt, tmp_path) -> None:
    (tmp_path / "tunes.txt").write_text(TUNES)
    data = ("--data", "tunes.txt", "--separator", "%", "--block-size", "16")
    ok(microgpt("train", *data, *SMALL, "--model", "m"))
    saved = load(tmp_path / "m")
    longest = saved.meta.training["longest"]
    assert longest == len("K:A\nab cd ef|\nAAAAAAAA|")
    assert usual_length(saved) == longest + 1
    done = ok(microgpt("generate", "m", "-n", "2"))
    how = ("--temperature", "0.8", "--max-tokens", str(longest + 1))
    assert done.stdout == ok(microgpt("generate", "--model", "m", "-n", "2", *how)).stdout
    assert "note: --temperature 0.8" in done.stderr


def test_samples_exceed_the_context_only_if_a_training_document_does() -> None:
    assert usual_length(result_of(["a" * 15])) is None
    assert usual_length(result_of(["a" * 16])) == 17
    assert usual_length(result_of(["a" * 400])) == 64  # the limit is 4 * block_size


def test_samples_of_running_text_begin_at_the_start_of_a_line() -> None:
    text = "one line\nanother line\n" * 40
    model = InferenceGpt(result_of([text], text="stream"))
    (sample,) = model.generate(max_tokens=9, seed=3)
    assert model.generate(prompt="\n", max_tokens=9, seed=3) == [f"\n{sample}"]


def test_generate_prints_a_note_on_samples_that_are_truncated_or_end_in_a_loop(capsys) -> None:
    result = result_of(["a b c" * 9])
    note_faults(["a" * 16, "b"], result, 16)
    assert (
        "1 of 2 samples end at 16 tokens; for more, use --max-tokens 64" in capsys.readouterr().err
    )
    note_faults(["abc" + "ab c" * 30, "abc"], result, 4000)
    assert "1 of 2 samples end in a loop" in capsys.readouterr().err
    note_faults(["abc", "aaaaaaaaa"], result, None)
    assert not capsys.readouterr().err


def test_the_share_of_copied_text_is_measured_on_long_samples() -> None:
    rng = random.Random(0)
    doc, other = ("".join(rng.choices("abcdefgh", k=400)) for _ in range(2))
    assert copied_share([doc[100:200]], [doc]) == 1
    assert copied_share([other[:100]], [doc]) == 0
    assert copied_share([doc[:100], other[:100]], [doc]) == 0.5
    assert copied_share(["anna"], [doc]) is None


def test_generate_skips_samples_with_words_of_a_never_file(microgpt, text_model, tmp_path) -> None:
    options = ("generate", text_model, "--temperature", "1")
    everything = [line.partition(": ")[2] for line in ok(microgpt(*options)).stdout.splitlines()]
    (tmp_path / "never.txt").write_text(f"{everything[0].upper()}\n{everything[1][:1]}\n")
    done = ok(microgpt(*options, "--never", "never.txt"))
    found = [line.partition(": ")[2] for line in done.stdout.splitlines()]
    assert len(found) == len(everything)
    assert everything[0] not in found
    assert {*everything[1:]} & {*found}  # only whole words are matched
