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
MANY = 'error: argument 1 must be a number from {} to 9e15, got "many"'
pytestmark = pytest.mark.skipif(not COMPILERS, reason="needs a C compiler")


def program(path: Path, compiler: str = "") -> Path:
    """Compile a C file, with warnings as errors, and return the path of the program."""
    compiled = path.with_suffix("")
    subprocess.run([compiler or COMPILERS[0], *STRICT, path, "-o", compiled, "-lm"], check=True)
    return compiled


def output_of(*command: object, text: str = "") -> str:
    return subprocess.check_output([*map(str, command)], input=text, text=True)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_c_file_prints_the_same_texts_as_generate(architecture, compiler, tmp_path) -> None:
    saved = saved_model(architecture=architecture, block_size=24)
    model = program(written(C_FORMAT, saved, tmp_path, "model.c"), compiler)
    for prompt, temperature, seed in (("", 0.5, 42), ("an", 1.0, 2**40)):
        texts = InferenceGpt(saved).generate(9, prompt=prompt, temperature=temperature, seed=seed)
        lines = [f"sample {i:2}: {text}" for i, text in enumerate(texts, 1)]
        assert output_of(model, 9, temperature, seed, prompt).splitlines() == lines


@pytest.mark.parametrize(("kind", "least"), [("names", 1), ("chat", 0)])
def test_a_c_program_refuses_an_argument_that_is_no_number(kind, least, tmp_path) -> None:
    model = program(written(C_FORMAT, saved_model(kind, block_size=100), tmp_path, "model.c"))
    done = subprocess.run([model, "many"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, MANY.format(least))


def test_the_c_program_of_a_chat_model_replies_like_chat(tmp_path) -> None:
    saved = saved_model("chat", block_size=100)
    model = program(written(C_FORMAT, saved, tmp_path, "model.c"))
    reply = InferenceGpt(saved).chat([{"role": "user", "content": "Hello."}], temperature=0.5)
    assert output_of(model, text="Hello.\n") == reply.content + "\n"


def test_the_c_example_in_the_docs_prints_a_generated_name(tmp_path) -> None:
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
def test_c_export_refuses_models_with_subwords(tmp_path) -> None:
    request = ExportRequest(tmp_path / "model.c", "model", print)
    for format in (C_FORMAT, INT8_FORMAT):
        with pytest.raises(ConfigError, match="only character models; train with --tokenizer"):
            format.write(saved_model("text"), request)


def test_a_changed_or_truncated_c_file_is_not_accepted(tmp_path) -> None:
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


def test_a_missing_or_failing_c_compiler_is_explained(tmp_path, monkeypatch) -> None:
    path = written(C_FORMAT, saved_model(), tmp_path, "model.c")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="install gcc, or set CC"):
        c_file.run(path)
    monkeypatch.setenv("CC", "/bin/false")
    with pytest.raises(CheckpointError, match=r"^/bin/false cannot compile .*model\.c"):
        c_file.run(path)
