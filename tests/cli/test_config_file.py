import json
import os

import pytest
from commands import ok, refused


def test_the_command_line_overrides_a_config_file(microgpt, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("anna\nemma\nava\nmia\n")
    (tmp_path / "my.toml").write_text(
        'data = "names.txt"\nmodel = "mine"\nsteps = 9\nlearning-rate = 0.003\nbatch_size = 2\n'
        'weight-decay = 1\nlong-docs = "truncate"\njson = true\nnum-samples = 1\n'
    )
    done = ok(microgpt("train", "--config", "my.toml", "--steps", 2))
    found = json.loads(done.stdout)
    assert (found["output"], found["steps"], found["num_docs"]) == ("mine", 2, 4)
    settings = json.loads((tmp_path / "mine/meta.json").read_text())["training"]
    assert (settings["lr"], settings["batch_size"], settings["weight_decay"]) == (0.003, 2, 1.0)


def test_options_in_a_config_file_are_checked_like_arguments(microgpt, tmp_path) -> None:
    (tmp_path / "my.toml").write_text("vocab-size = 300\n")
    assert "--vocab-size 300 (my.toml) requires --tokenizer bpe; add" in refused(
        microgpt("train", "--config", "my.toml")
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("stepz = 1", "my.toml: unknown option 'stepz'; see 'microgpt train --help-all'"),
        ("config = 'a.toml'", "my.toml: unknown option 'config'"),
        ("[training]\nsteps = 1", "my.toml: unknown option 'training'"),
        ("steps = 'many'", "my.toml: steps is 'many': "),
        ("steps = true", "my.toml: steps must be a number or a string, got true"),
        ("chat = 'yes'", "my.toml: chat must be true or false, got 'yes'"),
        ("data = 5", "my.toml: data is 5: Input is not a valid path"),
        ("engine = 'fast'", "my.toml: engine is 'fast': 'fast' is not one of"),
        ("steps = 2020-01-01", "my.toml: steps is 2020-01-01: "),
        ("steps = ", "my.toml is not valid TOML: "),
        ("steps = " + "[" * 9999, "my.toml is not valid TOML: "),
        ("x." * 2**15 + "x = 1", "cannot read my.toml: larger than 32,768 bytes"),
        ("learning-rate = inf", "--learning-rate must be a number greater than 0, got inf"),
        ("# \udcff", "my.toml is not UTF-8 text: "),
        (None, "cannot read my.toml: No such file or directory"),
    ],
)
def test_an_invalid_config_file_gives_a_one_line_error(
    microgpt, tmp_path, content, problem
) -> None:
    if content is not None:
        (tmp_path / "my.toml").write_bytes(content.encode(errors="surrogateescape"))
    assert refused(microgpt("train", "--config", "my.toml")).startswith(problem)


def test_a_config_file_must_be_a_regular_file(microgpt, tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refused(microgpt("train", "--config", "pipe")) == "cannot read pipe: not a regular file"


def test_later_config_files_and_arguments_override_earlier_files(
    microgpt, tmp_path, text_model
) -> None:
    (tmp_path / "a.toml").write_text("prompt = 'emma'\nnum-samples = 3\nseed = 5\n")
    (tmp_path / "b.toml").write_text("num-samples = 1\n")
    files = ("--config", "a.toml", "--config", "b.toml", "--model", text_model)
    done = [
        microgpt("generate", *args)
        for args in (("ann", *files), ("ann", "-n1", "--seed", "5", "--model", text_model))
    ]
    assert done[0].returncode == 0, done[0].stderr
    assert done[0].stdout == done[1].stdout
    assert microgpt("generate", *files).stdout.startswith("sample  1: emma")


def test_a_list_in_a_config_file_is_a_grid_axis(microgpt, tmp_path) -> None:
    axes = "n-embd = [8, 0]\nlr = [0.1, 0.2]\nsteps = [10]\nseeds = 1\n"
    (tmp_path / "my.toml").write_text(f'{axes}preset = "karpathy"\n')
    done = ok(microgpt("sweep", "grid", "--config", "my.toml"))
    assert "skipped: n_embd must be >= 1" in done.stderr
    assert done.stdout.startswith("2 training runs of 2 models, ")
