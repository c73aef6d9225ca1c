"""Tests that C files compile without warnings, and reproduce the model's results."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exported_files import refusal, written
from exported_models import ARCHITECTURES, saved_model

from microgpt import ExportRequest, InferenceGpt
from microgpt.errors import CheckpointError, ConfigError
from microgpt_exports import c_file
from microgpt_exports.c_file import C_FORMAT, INT8_FORMAT

ROOT = Path(__file__).parents[2]
COMPILERS = [each for each in ("gcc", "clang") if shutil.which(each)]
STRICT = ["-std=c99", "-O2", "-Wall", "-Wextra", "-pedantic", "-Werror"]
pytestmark = pytest.mark.skipif(not COMPILERS, reason="needs a C compiler")


def program(path: Path, compiler: str = "") -> Path:
    """Compile a C file, with warnings as errors, and return the path of the program."""
    compiled = path.with_suffix("")
    command = [compiler or COMPILERS[0], *STRICT, path, "-o", compiled, "-lm"]
    subprocess.run(command, check=True)
    return compiled


def output_of(*command: object, text: str = "") -> str:
    done = subprocess.run(
        [*map(str, command)], input=text, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_c_file_prints_the_same_texts_as_generate(architecture, compiler, tmp_path) -> None:
    saved = saved_model(architecture=architecture, block_size=24)
    model = program(written(C_FORMAT, saved, tmp_path, "model.c"), compiler)
    for prompt, temperature, seed in (("", 0.5, 42), ("an", 1.0, 2**40)):
        texts = InferenceGpt(saved).generate(9, prompt=prompt, temperature=temperature, seed=seed)
        lines = [f"sample {i:2}: {text}" for i, text in enumerate(texts, 1)]
        assert output_of(model, 9, temperature, seed, prompt).splitlines() == lines
    assert subprocess.run([model, "many"], check=False).returncode == 2


def test_the_c_program_of_a_chat_model_replies_to_each_line(tmp_path) -> None:
    saved = saved_model("chat", block_size=100)
    model, said = (
        program(written(C_FORMAT, saved, tmp_path, "model.c")),
        [{"role": "user", "content": "Hello."}],
    )
    reply = InferenceGpt(saved).chat(said, temperature=0.5)
    assert output_of(model, text="Hello.\n") == reply.content + "\n"


def test_an_exported_c_header_runs_in_a_game_loop(tmp_path) -> None:
    """The example in the docs compiles without a warning, and prints names."""
    saved = saved_model(architecture="modern")
    written(INT8_FORMAT, saved, tmp_path, "names.h")
    (code,) = re.findall(r"```c\n(.*?)```", (ROOT / "docs/elsewhere.md").read_text(), re.S)
    (tmp_path / "game.c").write_text(code)
    names = InferenceGpt(c_file.rounded(saved)).generate(3, temperature=0.5, seed=42)
    assert output_of(program(tmp_path / "game.c")).splitlines()[0] == names[0]


def test_int8_weights_differ_by_at_most_half_a_quantization_step() -> None:
    saved = saved_model()
    tensor = np.array(saved.weights["wte"], "float32")
    tensor[3] = 0
    weights = {**saved.weights, "wte": tensor.tolist()}
    found = c_file.int8_tensors(saved.model, weights)
    back = c_file.rounded(replace(saved, weights=weights)).weights["wte"]
    assert (abs(tensor - back) <= found["wte.scales"][:, None] * 0.5001).all()
    assert abs(found["wte"]).max() == 127


@pytest.mark.compiled
def test_models_that_c_files_do_not_support_are_refused(tmp_path) -> None:
    request = ExportRequest(tmp_path / "model.c", "model", print)
    for format in (C_FORMAT, INT8_FORMAT):
        with pytest.raises(ConfigError, match="only character models; train with --tokenizer"):
            format.write(saved_model("text"), request)


def test_verify_does_not_compile_a_changed_c_file(tmp_path) -> None:
    path = written(C_FORMAT, saved_model(), tmp_path, "model.c")
    content = path.read_bytes()
    receipt = content[content.index(b"microgpt.receipt") :]
    for old, new in (
        (b"return 0;", b"return 1;"),
        (b"#include <math.h>", b"#include </etc/passwd>"),
        (b"/* model.c: a", b"/* model.c */ int x; /*: a"),
        (content[content.index(b"[] = {\n ") + 6 :][:9], b"system(1)"),
        (b'"name": "model.c"', b'"name": "*/ int x; /*"'),
        (b"}\n*/\n", b"} \n*/\n"),
        (receipt, receipt + receipt),
    ):
        assert old in content
        path.write_bytes(content.replace(old, new, 1))
        assert "differs from what" in refusal(C_FORMAT.read, path)
    path.write_bytes(content[:5000])
    assert C_FORMAT.read(path) is None


def test_verifying_without_a_c_compiler_names_a_remedy(tmp_path, monkeypatch) -> None:
    path = written(C_FORMAT, saved_model(), tmp_path, "model.c")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="install gcc, or set CC"):
        c_file.run(path)
    monkeypatch.setenv("CC", "/bin/false")
    with pytest.raises(CheckpointError, match=r"^/bin/false cannot compile .*model\.c"):
        c_file.run(path)
