"""The parsers that bench/fuzz.py attacks, each with valid seed inputs written by this project.

A maker gets a folder and returns seed inputs and a function that parses an input. The inputs are in
this file or below tests/, or the maker creates them with a model or a command. Checksums that an
attacker could compute are corrected after a mutation, so that the input passes the check.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from harness import ROOT

import microgpt
from microgpt import DocumentHashes, ReadOptions, TrainingDirectory, load_documents, read_training
from microgpt_course.progress import read_progress, start
from microgpt_evolution.genome_file import GENOME, read_genome
from microgpt_evolution.report.ranking import read_ranking
from microgpt_evolution.report.study_report import study_report
from microgpt_evolution.trial import CHECKSUM, with_checksum
from microgpt_exports.c_file import C_FORMAT
from microgpt_exports.format import Format
from microgpt_exports.gguf_file import GGUF_FORMAT
from microgpt_exports.imports import import_model
from microgpt_exports.onnx_file import ONNX_FORMAT
from microgpt_exports.transformers_directory import TRANSFORMERS_FORMAT

Made = tuple[list[bytes], Callable[[bytes], object]]
Maker = Callable[[Path], Made]
Renew = Callable[[Path, bytes], object]
Source = Callable[[Path], object]  # writes a valid directory for a parser
TESTS = ROOT / "tests"
NAMES = ["anna", "emma", "ava", "mia"]
RECORDS = "trials.jsonl"
HASHES = ("weights_sha256", "tokenizer_sha256", "documents_sha256")

TALKS = [[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]]
DATA = {"n_docs": 4, "sha256": "a", "val_fraction": 0.1}
EXTRA = {"a": {"talks": TALKS, "reply": "no", "confidence": 0.5, "suggests": True}}
MORE: dict[str, dict[str, Any]] = {
    "meta.json": {
        "extra": EXTRA, "examples": ["hi"], "init_std": 0.1,
        "training": {"ancestor_data": [DATA, None], "data_sha256": "a", "n_docs": 4,
                     "contamination": {"validation": 0.5}, "val_loss": 1.5, "steps": 9},
    },
    "train_state.json": {
        "extra": EXTRA, "examples": ["hi"], "teachers": [["a", "b"]],
        "ancestor_data": [DATA, None], "minutes": 0.5, "budget": 1e9,
        "contamination": {"validation": 0.5}, "edited_sources": {"model.py": "a"},
        "preset": "chat", "me": "a", "separator": "%", "column": "a",
    },
}  # fmt: skip


def model(folder: Path, weights_format: Any = None, **options: Any) -> Path:
    """Train a model, by default on a few names, save it, and return its directory."""
    shape = microgpt.ModelConfig(n_embd=4, n_head=2, n_layer=1, block_size=8, n_ff_exp=1)
    given = {"docs": NAMES, "model": shape, "config": microgpt.TrainConfig(steps=20), **options}
    microgpt.save(microgpt.train(**given), folder, weights_format=weights_format)
    return folder


def trained(folder: Path) -> None:
    """Train a small model, and write the checkpoint of the training run."""
    result = microgpt.train(NAMES, config=microgpt.TrainConfig(steps=20, engine="reference"))
    with TrainingDirectory(folder) as held:
        held.keep(replace(result.plan, input=Path("names.txt")), result.state)


def of_command(*words: str) -> Callable[[Path], object]:
    """Return a function that writes the run of a command, such as `evolve`, to a directory."""

    def write(folder: Path) -> None:
        command = [Path(sys.executable).with_name("microgpt"), *words, "--data", "names.txt"]
        work = folder.with_name("work")
        work.mkdir()
        names = ("".join(letters) for letters in product("aeiou", "lmnr", "aeiou", "lmnr"))
        (work / "names.txt").write_text("\n".join(names))
        subprocess.run(command, cwd=work, check=True, stdout=-1, stderr=-1)
        (run,) = [path for path in (work / "experiments").iterdir() if path.is_dir()]
        run.rename(folder)

    return write


def edit(path: Path, **facts: object) -> None:
    """Set keys of the JSON object in a file, and remove the keys whose value is None."""
    found = {**json.loads(path.read_text()), **facts}
    path.write_text(json.dumps({name: fact for name, fact in found.items() if fact is not None}))


def in_file(
    source: Source,
    name: str,
    read: Callable[[Path], object],
    renew: Renew = lambda *_: None,
    seeds: Sequence[bytes] = (),
) -> Maker:
    """Return a maker whose parser writes an input to a file, corrects checksums and reads it."""

    def make(folder: Path) -> Made:
        source(folder)
        file, found = folder / name, [*seeds]
        for meta in folder.glob("meta.json"):
            edit(meta, **dict.fromkeys(HASHES))
        if name == RECORDS:
            lines = file.read_bytes().splitlines(keepends=True)[:3]
            file.write_bytes(b"".join(lines))
        if not seeds:
            found.append(file.read_bytes())
        if name in MORE:  # a second seed input has all optional keys
            edit(file, **MORE[name])
            found.append(file.read_bytes())

        def parse(content: bytes) -> None:
            file.write_bytes(content)
            renew(folder, content)
            read(folder)

        return found, parse

    return make


def text(name: str, *seeds: bytes, where: str = "", **how: Any) -> Maker:
    """Return a maker whose parser reads a file of documents, or its folder if `where` is "."."""

    def read(folder: Path) -> None:
        load_documents(folder / (where or name), ReadOptions(**how), tell=str)

    return in_file(Path.mkdir, name, read, seeds=seeds)


def chats(name: str, me: str | None = None) -> Maker:
    """Return a maker whose parser reads an exported chat; the seed input is a file of the tests."""
    file = TESTS / "chat_exports/exports" / name
    return text(file.name, file.read_bytes(), chat=True, me=me)


def evaluations(folder: Path, content: bytes) -> None:
    """Write the input as the trial records of a run, each with a correct checksum."""
    records = [line.rpartition(CHECKSUM)[0] + b"}" for line in content.splitlines()]
    (folder / "trials.jsonl").write_bytes(b"".join(map(with_checksum, records)))


def state(folder: Path, content: bytes) -> None:
    """Write the input's checksum to a checkpoint's metadata, so that loading accepts the input."""
    edit(folder / "train_state.json", state_sha256=hashlib.sha256(content).hexdigest())


def export(format: Format, folder: Path) -> None:
    """Export a portable model to the file "a" in a folder or, for Transformers, to the folder."""
    folder.mkdir()
    sizes = {"n_embd": 4, "n_head": 1, "n_layer": 1, "block_size": 8, "n_ff_exp": 2}
    shape = microgpt.ModelConfig(**sizes, architecture="portable")
    saved = microgpt.load(model(folder.with_name("portable"), model=shape))
    output = folder if format is TRANSFORMERS_FORMAT else folder / "a"
    request = microgpt.ExportRequest(output, "a", lambda _: None)
    for path, content in format.write(saved, request).items():
        path.write_bytes(content)


def exported(format: Format) -> Maker:
    """Return a maker whose parser reads an exported file of a format."""
    return in_file(partial(export, format), "a", lambda folder: format.read(folder / "a"))


def moonbase(folder: Path) -> None:
    """Write a checkpoint in the format of MoonBase, another implementation of microgpt."""
    sys.path.append(str(TESTS))
    from foreign_models import moonbase as write

    write(folder, n_embd=4, n_head=1, n_layer=1, block_size=8)


def run(folder: Path) -> None:
    study_report(read_ranking(folder))


CSV = b'id,text\n1,"say ""hi"""\n2,b\n'
TRANSCRIPT = b"User: hi\nBot: yo\n\nUser: oh\nBot: no\nno\n"
CHATML = b"<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nyo<|im_end|>\n"
JSONL = b'{"id": 1, "text": "a"}\n{"id": 2, "text": "b"}\n'
TALK = [
    b'[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo", "task": "t"}]\n',
    b'{"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "hi"}, '
    b'{"role": "assistant", "content": "yo"}]}\n',
    b'{"prompt": "hi", "completion": "yo"}\n',
    b'[{"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yo"}]}]',
    b"question,answer\nhi,yo\n",
]
CRC = "documents.crc32"
STATE, NUMBERS = "train_state.json", "train_state.safetensors"
SEARCH = ("evolve", "--population", "3", "--generations", "2", "--seed", "1")
searched = of_command(*SEARCH)
hydra = of_command(*SEARCH, "--objective", "hydra")
swept = of_command("sweep", "grid", "--vary", "steps=20,40", "--vary", "n_embd=8")
transformers = partial(export, TRANSFORMERS_FORMAT)
in_tensors = partial(model, weights_format="safetensors")
HI = (microgpt.Message("user", "hi"), microgpt.Message("assistant", "yo"))
subwords = partial(model, tokenizer=microgpt.BpeTokenizer.from_documents(NAMES, vocab_size=260))

PARSERS: dict[str, Maker] = {
    "weights.json": in_file(model, "weights.json", microgpt.load),
    "model.safetensors": in_file(in_tensors, "model.safetensors", microgpt.load),
    "meta.json": in_file(model, "meta.json", microgpt.load),
    "meta.json of a chat": in_file(partial(model, docs=[HI]), "meta.json", microgpt.load),
    "tokenizer.json": in_file(subwords, "tokenizer.json", microgpt.load),
    "import: config.json": in_file(transformers, "config.json", import_model),
    "import: receipt.json": in_file(transformers, "receipt.json", import_model),
    "import: MoonBase's meta.json": in_file(moonbase, "meta.json", import_model),
    "import: MoonBase's tokenizer": in_file(moonbase, "tokenizer.json", import_model),
    "export: C": exported(C_FORMAT),
    "export: ONNX": exported(ONNX_FORMAT),
    "export: GGUF": exported(GGUF_FORMAT),
    "export: receipt.json": in_file(transformers, "receipt.json", TRANSFORMERS_FORMAT.read),
    "text": text("a.txt", b"anna\nemma\n", "é a.\r\nb\r\n".encode()),
    "text: blocks": text("a.txt", b"a\nb\n---\nc\n", b"---\na\n", separator="---"),
    "text: CSV": text("a.csv", CSV, CSV.replace(b",", b"\t"), column="text"),
    "text: JSON lines": text("a.jsonl", JSONL, column="text"),
    "text: one column": text("a.csv", b"sep=;\nname\nanna\n", b"name\nanna\n"),
    "text: several lines": text(
        "a.txt", b">a\nACG\nT\n>b\nC\n", b"X:1\na\n\nX:2\nb\n\nX:3\nc\n\nX:4\nd\n",
        b"a\n%\nb\n%\nc\n", b"a<|endoftext|>b\n", b"\xff\xfea\0\n\0",
    ),
    "text: folder": text("a.txt", b"a\n", b"b\n\nc\n", where="."),
    "chat: transcript": text("a.txt", TRANSCRIPT, CHATML, chat=True),
    "chat: conversations": text("a.jsonl", *TALK, chat=True),
    "chat: WhatsApp": chats("whatsapp_ios.txt", "Anna"),
    "chat: ChatGPT": chats("conversations.json"),
    "chat: Telegram": chats("telegram.json", "Ben"),
    "chat: Discord": chats("discord.json", "ben_7"),
    "chat: Slack": chats("slack/general/2023-12-31.json", "U2"),
    "genome.json": in_file(searched, GENOME, lambda folder: read_genome(folder / GENOME)),
    "settings.json": in_file(searched, "settings.json", run),
    "settings.json of a sweep": in_file(swept, "settings.json", run),
    "trials.jsonl": in_file(searched, RECORDS, run, evaluations),
    "trials.jsonl, Hydra": in_file(hydra, RECORDS, run, evaluations),
    "trials.jsonl of a sweep": in_file(swept, RECORDS, run, evaluations),
    "train_state.json": in_file(trained, STATE, read_training),
    "train_state.safetensors": in_file(trained, NUMBERS, read_training, state),
    "documents.crc32": in_file(
        model, CRC, lambda folder: "emma" in DocumentHashes((folder / CRC).read_bytes())
    ),
    "progress.json": in_file(start, "progress.json", read_progress),
}  # fmt: skip
