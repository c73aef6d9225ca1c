"""C files: a model as one file in C99, with float32 or int8 weights.

A file needs only the C math library and allocates no memory; its code comes from model.c. A file
whose name ends with .h is a header without `main`.
"""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.resources import files as resources
from pathlib import Path
from typing import Any
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from microgpt import (
    QK_SCALE,
    ROTARY_BASE,
    CheckpointError,
    ConfigError,
    InferenceGpt,
    ModelConfig,
    SavedModel,
    Tokenizer,
    as_argument,
    count_params,
    printable,
    tensors_of,
    weight_shapes,
)
from microgpt_exports.format import RECEIPT, Arrays, Format, Numbers
from microgpt_exports.receipt import Program, Receipt, generated_text

LARGEST = 127  # largest value of an int8
N_TEXTS = 100  # number of texts generated to measure how much int8 raises the loss
SCALES = ".scales"  # suffix for the scales of an int8 matrix, one float32 per row
COMPILERS = ("cc", "gcc", "clang")
HEADER, MAIN = ".h", "#ifndef MICROGPT_NO_MAIN\n"  # suffix of headers; line above main()
# A C program that reads token ids, and prints the logits after each of them.
PROGRAM = """\
#define MICROGPT_NO_MAIN
#include "%s"

int main(void) {
    static microgpt_state state;
    for (int token; scanf("%%d", &token) == 1; putchar('\\n')) {
        microgpt_next(&state, token);
        for (int i = 0; i < MICROGPT_VOCAB; i++) printf("%%a ", (double)state.logits[i]);
    }
    return 0;
}
"""


class NumbersInC(Numbers):
    """The numbers of an array as C source; all numbers have the same number of characters."""

    pattern = re.compile(rb"[-+.e\d, \n]*")  # allows only numbers, because a compiler reads them


tensors = partial(tensors_of, dtype="float32")


def int8_tensors(config: ModelConfig, weights: Mapping[str, Any]) -> Arrays:
    """Return the matrices in int8, each followed by the scales of its rows in float32."""
    found = {}
    for name, matrix in tensors_of(config, weights, "float32").items():
        largest = np.maximum(abs(matrix).max(axis=1), np.finfo("float32").tiny)
        scales = largest / np.float32(LARGEST)
        found[name] = np.rint(matrix / scales[:, None]).astype("int8")
        found[name + SCALES] = scales
    return found


def rounded(saved: SavedModel) -> SavedModel:
    """Return a model with its weights replaced by the values that an int8 export represents."""
    found = int8_tensors(saved.model, saved.weights)
    weights = {
        name: (found[name] * found[name + SCALES][:, None]).tolist()
        for name in weight_shapes(saved.model)
    }
    meta = saved.meta.model_copy(update={"weights_sha256": saved.sha256})
    return replace(saved, weights=weights, meta=meta)


def files(receipt: Receipt, tokenizer: Tokenizer, tensors: Arrays) -> dict[str, list[bytes]]:
    """Return the content of a C file as byte strings to concatenate; the receipt is a comment."""
    if not tokenizer.chars:
        raise ConfigError("C files support only character models; train with --tokenizer char")
    template = resources("microgpt_exports").joinpath("model.c").read_text(encoding="utf-8")
    if receipt.name.endswith(HEADER):
        template = template[: template.index(MAIN)]
    values = _values(receipt, tokenizer, tensors)
    start, end = (
        re.sub("@([A-Z_]+)@", lambda name: values[name[1]], half).encode()
        for half in template.split("@WEIGHTS@")
    )
    arrays: list[bytes] = []
    for name, tensor in tensors.items():
        kind = "int8_t" if tensor.dtype.kind == "i" else "float"
        head = f"static const {kind} {_label(name)}[] = {{\n".encode()
        arrays += [head, _numbers(tensor), b"};\n"]
    # Escape slashes, so that no text of the receipt ends the comment.
    comment = receipt.to_json().replace("/", "\\/")
    return {"": [start, *arrays, end, f"\n/* {RECEIPT}\n{comment}\n*/\n".encode()]}


def run(path: Path) -> Program:
    """Compile a C file and return its program; each call reads all earlier tokens again."""
    compiler = os.environ.get("CC") or next(filter(shutil.which, COMPILERS), None)
    if compiler is None:
        raise ConfigError("verifying a C file requires a C compiler; install gcc, or set CC")
    folder = tempfile.mkdtemp()
    program = Path(folder, "main")

    def read(tokens: Sequence[int], before: list[int] | None) -> tuple[NDArray[Any], list[int]]:
        known = [*(before or []), *tokens]
        text = subprocess.check_output([program], input=" ".join(map(str, known)), text=True)
        rows = [[*map(float.fromhex, line.split())] for line in text.splitlines()]
        return np.array(rows[-len(tokens) :]), known

    finalize(read, shutil.rmtree, folder)
    program.with_suffix(".c").write_text(PROGRAM % os.path.abspath(path))
    command = [*shlex.split(compiler), "-std=c99", "-O2", "main.c", "-o", "main", "-lm"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CheckpointError(f"{compiler} cannot compile {path}: {printable(done.stderr)}")
    return read


def _following(path: Path) -> str:
    """Return the command to run next: it prints texts or, for a header, verifies the export."""
    file = as_argument(path)
    return f"microgpt verify {file}" if path.suffix == HEADER else f"cc -O2 {file} -lm && ./a.out"


def _loss_of_int8(saved: SavedModel) -> str:
    """Return a remark on how much int8 raises the loss of generated texts."""
    gpts = InferenceGpt(saved), InferenceGpt(rounded(saved))
    losses = []
    for seed in range(N_TEXTS):
        tokens = generated_text(gpts[0], seed)
        each = (gpt.log_probabilities(tokens[:-1]) for gpt in gpts)
        losses += [ours[i] - theirs[i] for i, ours, theirs in zip(tokens[1:], *each, strict=True)]
    loss = sum(losses) / len(losses)
    return f"int8 costs {loss:.4f} nats per token, measured on texts that the model generated"


C_FORMAT = Format("c", tensors, files, run, following=_following)
INT8_FORMAT = Format(
    "c-int8", int8_tensors, files, run,
    following=_following, stored=rounded, remark=_loss_of_int8,
)  # fmt: skip


def _values(receipt: Receipt, tokenizer: Tokenizer, tensors: Arrays) -> dict[str, str]:
    """Return the replacement for each `@NAME@` placeholder in model.c, except those of weights."""
    config = receipt.model
    sizes = {
        "VOCAB": config.vocab_size,
        "PIECES": len(tokenizer.piece_names),
        "BOS": tokenizer.bos_id,
        "CONTEXT": config.block_size,
        "WIDTH": config.n_embd,
        "HEAD": config.head_dim,
        "HIDDEN": config.n_ff_exp * config.n_embd,
        "LAYERS": config.n_layer,
        "ROTARY": int(not config.is_karpathys),
        "TOKEN_SHIFT": int(config.architecture == "modern"),
        "CHAT": int(tokenizer.is_chat),
    }
    if tokenizer.is_chat:
        sizes |= {role.upper(): tokenizer.role_id(role) for role in ("user", "assistant")}
        sizes["END_TURN"] = tokenizer.end_turn_id
    matrices = {
        name: f"{{{rows}, {columns}, {_label(name)}, {_label(name + SCALES, tensors)}}}"
        for name, (rows, columns) in weight_shapes(config).items()
    }
    layers = (
        ", ".join(each for name, each in matrices.items() if name.startswith(f"layer{i}."))
        for i in range(config.n_layer)
    )
    return {
        "FILE": re.sub(r"[^\w.-]", "_", receipt.name, flags=re.ASCII),
        "COUNT": f"{count_params(config):,}",
        "SIZES": "\n".join(f"#define MICROGPT_{name} {size}" for name, size in sizes.items()),
        "CHARS": "\n".join(f"    {ord(each)}," for each in tokenizer.chars or ()),
        "NUMBER": "int8_t" if tensors["wte"].dtype.kind == "i" else "float",
        "LAYERS": "\n".join(f"    {{{each}}}," for each in layers),
        "MATRICES": "\n".join(
            f"static const microgpt_matrix microgpt_{name} = {each};"
            for name, each in matrices.items()
            if "." not in name
        ),
        "ROTARY_BASE": f"{ROTARY_BASE}",
        "QK_SCALE": f"{QK_SCALE}",
    }


def _label(name: str, known: Arrays | None = None) -> str:
    """Return the name of an array in C, or NULL if `known` is not None and lacks the array."""
    return f"microgpt_array_{name.replace('.', '_')}" if known is None or name in known else "NULL"


def _numbers(tensor: NDArray[Any]) -> NumbersInC:
    """Return the elements of an array as C source; nine significant digits round-trip a float32."""
    pattern, width = ("%4d,", 16) if tensor.dtype.kind == "i" else ("% .8e,", 6)
    numbers = tensor.ravel().tolist()
    rows = (numbers[i : i + width] for i in range(0, len(numbers), width))
    lines = (" ".join(pattern % number for number in row) for row in rows)
    return NumbersInC("".join(f"{line}\n" for line in lines).encode())
