"""The parsers that bench/fuzz.py attacks, each with valid inputs that this project has written.

A maker gets an empty folder and returns the inputs and a function that parses one. Files are those
of tests/exports, of a model that a maker trains and of a run of a command. Checksums that an
attacker can compute are renewed, so that mutations reach what is behind them.
"""

import asyncio
import ctypes
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from harness import ROOT

import microgpt
from microgpt.data.contamination import DocumentHashes, hashes_file
from microgpt.data.documents import load_documents
from microgpt.data.text_file import ReadOptions
from microgpt.storage.training_directory import TrainingDirectory, read_training
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
from microgpt_page.document import WEB
from microgpt_serve.app import create_app
from microgpt_serve.service_settings import ServiceSettings

Made = tuple[list[bytes], Callable[[bytes], object]]
Maker = Callable[[Path], Made]
Renew = Callable[[Path, bytes], object]
Source = Callable[[Path], object]  # writes a directory
TESTS = ROOT / "tests"
NAMES = ["anna", "emma", "ava", "mia"]
PROCESSES: list[subprocess.Popen[Any]] = []  # that makers have started
JSON, TENSORS = "weights.json", "model.safetensors"
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


def model(folder: Path, **options: Any) -> Path:
    """Train and save a model of a few names or questions, and return its directory."""
    shape = microgpt.ModelConfig(n_embd=4, n_head=2, n_layer=1, block_size=8, n_ff_exp=1)
    docs: Any = NAMES
    if options.pop("chat", False):
        docs = [(microgpt.Message("user", "hi"), microgpt.Message("assistant", "yo"))]
    kind = options.pop("weights_format", None)
    config = microgpt.TrainConfig(steps=20, dtype=options.pop("dtype", None))
    result = microgpt.train(docs, model=shape, config=config, **options)
    microgpt.save(result, folder, weights_format=kind)
    return folder


def subwords(folder: Path) -> None:
    """Save a model with subword tokens."""
    model(folder, tokenizer=microgpt.BpeTokenizer.from_documents(NAMES, vocab_size=260))


def trained(folder: Path) -> None:
    """Write a checkpoint."""
    result = microgpt.train(NAMES, config=microgpt.TrainConfig(steps=20, engine="reference"))
    with TrainingDirectory(folder) as held:
        held.keep(replace(result.plan, input=Path("names.txt")), result.state)


def of_command(*words: str) -> Callable[[Path], object]:
    """Return a function that writes the run of a search or a sweep."""

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


def edited(path: Path, **facts: object) -> dict[str, Any]:
    """Change or remove (None) keys of a JSON file, and return its content."""
    found = {**json.loads(path.read_text()), **facts}
    path.write_text(json.dumps({name: fact for name, fact in found.items() if fact is not None}))
    return found


def in_file(
    source: Source, name: str, read: Callable[[Path], object], renew: Renew = lambda *_: None
) -> Maker:
    """Replace a file in a directory by the input, and read the directory."""

    def make(folder: Path) -> Made:
        source(folder)
        file = folder / name
        for meta in folder.glob("meta.json"):
            edited(meta, **dict.fromkeys(HASHES))
        if name == "trials.jsonl":
            lines = file.read_bytes().splitlines(keepends=True)[:3]
            file.write_bytes(b"".join(lines))
        seeds = [file.read_bytes()]
        if name in MORE:  # keys that few files have
            edited(file, **MORE[name])
            seeds.append(file.read_bytes())

        def parse(content: bytes) -> None:
            file.write_bytes(content)
            renew(folder, content)
            read(folder)

        return seeds, parse

    return make


def one_file(name: str, seeds: Iterable[bytes], read: Callable[[Path], object]) -> Maker:
    """Write the input to a file with a name, and read it."""

    def make(folder: Path) -> Made:
        folder.mkdir()

        def parse(content: bytes) -> None:
            (folder / name).write_bytes(content)
            read(folder / name)

        return [*seeds], parse

    return make


def text(name: str, *seeds: bytes, **how: Any) -> Maker:
    """Read a file of documents."""
    return one_file(name, seeds, lambda path: load_documents(path, ReadOptions(**how), tell=str))


def chats(name: str, me: str | None = None) -> Maker:
    """Read an exported chat of the tests."""
    file = TESTS / "chat_exports/exports" / name
    return text(file.name, file.read_bytes(), chat=True, me=me)


def evaluations(folder: Path, content: bytes) -> None:
    """Renew the checksum of each evaluation of a run."""
    records = [line.rpartition(CHECKSUM)[0] + b"}" for line in content.splitlines()]
    (folder / "trials.jsonl").write_bytes(b"".join(map(with_checksum, records)))


def state(folder: Path, content: bytes) -> None:
    """Renew the checksum of a checkpoint."""
    edited(folder / "train_state.json", state_sha256=hashlib.sha256(content).hexdigest())


def exported(format: Format) -> Maker:
    """Read a file for another program, of a portable model."""

    def make(folder: Path) -> Made:
        written = export(format, folder.with_name("portable"), folder.with_name("a"))
        return one_file("a", written.values(), format.read)(folder)

    return make


def export(format: Format, model: Path, output: Path) -> dict[Path, bytes]:
    """Return the files of an export of a portable model."""
    request = microgpt.ExportRequest(output, "a", lambda _: None)
    return format.write(microgpt.load(portable(model)), request)


def portable(folder: Path) -> Path:
    """Save a model that other programs can run."""
    sizes = {"n_embd": 4, "n_head": 1, "n_layer": 1, "block_size": 8, "n_ff_exp": 2}
    shape = microgpt.ModelConfig(**sizes, architecture="portable")
    config = microgpt.TrainConfig(steps=5)
    microgpt.save(microgpt.train(NAMES, model=shape, config=config), folder)
    return folder


def transformers(folder: Path) -> None:
    """Write a directory for transformers."""
    folder.mkdir()
    written = export(TRANSFORMERS_FORMAT, folder.with_name("portable"), folder)
    for path, content in written.items():
        path.write_bytes(content)


def moonbase(folder: Path) -> None:
    """Write a checkpoint of MoonBase as its tests write one."""
    sys.path.append(str(TESTS))
    from foreign_models import moonbase as write

    write(folder, n_embd=4, n_head=1, n_layer=1, block_size=8)


def run(folder: Path) -> None:
    study_report(read_ranking(folder))


def hashes(folder: Path) -> Made:
    """Decode the hashes of the training documents, and look for one."""
    known = hashes_file(NAMES, "lines")
    return [known or b""], lambda content: "emma" in DocumentHashes(content)


def separator(folder: Path) -> Made:
    """Split a text at a pattern."""
    folder.mkdir()
    (folder / "a.txt").write_text("a\n---\nb\n\nc\n")

    def parse(content: bytes) -> None:
        how = ReadOptions(separator=content.decode("utf-8", "surrogateescape"))
        load_documents(folder / "a.txt", how)

    return [b"---", b"blank"], parse


REQUESTS = {
    "/microgpt/v1/generate": {"prompt": "a", "num_samples": 2, "temperature": 0.5, "seed": 1,
        "top_k": 3, "top_p": 0.9},
    "/microgpt/v1/chat": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 3},
    "/v1/completions": {"prompt": ["a"], "max_tokens": 3, "stop": ["b"], "n": 2},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}], "stream": True},
}  # fmt: skip


def asgi(folder: Path) -> Made:
    """Send requests to the app in this process: a path on a line, then the body."""
    names = model(folder.with_name("names"))
    app = create_app(ServiceSettings(model_dir=str(names)))
    loop = asyncio.new_event_loop()
    loop.run_until_complete(app.router.lifespan_context(app).__aenter__())

    async def send(path: bytes, body: bytes) -> None:
        target, _, query = path.partition(b"?")
        head = {"type": "http", "http_version": "1.1", "method": "POST" if body else "GET"}
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {**head, "scheme": "http", "path": target.decode("latin-1"), "raw_path": target,
            "query_string": query, "root_path": "", "headers": headers,
            "server": ("localhost", 80), "client": ("127.0.0.1", 1)}  # fmt: skip
        parts: list[Any] = []
        gone = asyncio.Event()
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> Any:
            if (message := next(messages, None)) is None:
                await gone.wait()
            return message

        async def answer(message: Any) -> None:
            parts.append(message)

        await app(scope, receive, answer)
        status = parts[0]["status"]
        content = b"".join(part.get("body", b"") for part in parts[1:])
        assert status < 500 or status == 503, (status, content)
        if status >= 400:
            error = json.loads(content)["error"]
            line = error if isinstance(error, str) else error["message"]
            assert "\n" not in line, line

    def parse(content: bytes) -> None:
        path, _, body = content.partition(b"\n")
        loop.run_until_complete(asyncio.wait_for(send(path, body), 20))

    seeds = [f"{path}\n{json.dumps(body)}".encode() for path, body in REQUESTS.items()]
    return [*seeds, b"/v1/models\n", b"/health\n"], parse


def started(command: list[Path | str], **options: Any) -> subprocess.Popen[Any]:
    """Start a process, which the kernel kills when the one that fuzzes ends (on Linux)."""
    process = subprocess.Popen(
        command, preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL), **options
    )
    PROCESSES.append(process)
    return process


def raw_http(folder: Path) -> Made:
    """Send bytes to a service in another process."""
    names, log = model(folder.with_name("names")), folder.with_name("log")
    environment = {**os.environ, "PORT": "0", "MODEL_DIR": str(names)}
    command: list[Path | str] = [Path(sys.executable).with_name("microgpt-serve")]
    with log.open("wb") as stderr:
        service = started(command, env=environment, stderr=stderr)
    while not (found := re.search(r"at http://127.0.0.1:(\d+)", log.read_text())):
        if service.poll() is not None:
            raise SystemExit(log.read_text())
        time.sleep(0.1)
    port = int(found[1])

    def parse(content: bytes) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=9) as client:
            try:
                client.sendall(content)
                client.shutdown(socket.SHUT_WR)
                reply = b"".join(iter(lambda: client.recv(2**16), b""))
            except (ConnectionError, BrokenPipeError):
                return  # refused before it was sent
        assert not reply or reply.startswith(b"HTTP/1.1 "), reply[:100]
        assert not reply.startswith(b"HTTP/1.1 500"), reply
        assert b"Traceback" not in log.read_bytes()[-20_000:]

    head = "Host: localhost\r\nContent-Type: application/json\r\n"
    seeds = [
        f"POST {path} HTTP/1.1\r\n{head}Content-Length: {len(json.dumps(body))}\r\n\r\n"
        f"{json.dumps(body)}".encode()
        for path, body in REQUESTS.items()
    ]
    chunked = f"POST /v1/completions HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n"
    seeds += [f"{chunked}10\r\n".encode() + b'{"prompt": "a"} \r\n0\r\n\r\n']
    return [*seeds, f"GET /health HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode()], parse


def page(code: str, *seeds: bytes) -> Maker:
    """Call `answer`, a function of bytes, in Node; it may throw only an EngineError."""

    def make(folder: Path) -> Made:
        shutil.copytree(WEB / "engine", folder)
        (folder / "package.json").write_text('{"type": "module"}')
        (folder / "fuzz.js").write_text(
            'import { createInterface } from "node:readline";\n' + code + "\n"
            "for await (const line of createInterface({ input: process.stdin })) {\n"
            "  let told = 'ok';\n"
            "  try { await answer(new Uint8Array(Buffer.from(line, 'base64'))); }\n"
            "  catch (error) {\n"
            "    const isOurs = error.constructor.name === 'EngineError';\n"
            "    if (!isOurs || error.message.includes('\\n'))\n"
            "      told = String(error.stack).split('\\n', 2).join(' ');\n  }\n"
            "  console.log(told);\n}\n"
        )
        node = started(["node", folder / "fuzz.js"], stdin=-1, stdout=-1, text=True)

        def parse(content: bytes) -> None:
            assert node.stdin
            assert node.stdout
            node.stdin.write(b64encode(content).decode() + "\n")
            node.stdin.flush()
            told = node.stdout.readline().strip()
            assert told == "ok", told

        return [*seeds], parse

    return make


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
STATE, NUMBERS = "train_state.json", "train_state.safetensors"
RECORDS = "trials.jsonl"
SEARCH = ("evolve", "--population", "3", "--generations", "2", "--seed", "1")
searched = of_command(*SEARCH)
hydra = of_command(*SEARCH, "--objective", "hydra")
swept = of_command("sweep", "grid", "--vary", "steps=20,40", "--vary", "n_embd=8")
in_tensors = partial(model, weights_format="safetensors")

PARSERS: dict[str, Maker] = {
    "weights.json": in_file(model, JSON, microgpt.load),
    "model.safetensors": in_file(in_tensors, TENSORS, microgpt.load),
    "meta.json": in_file(model, "meta.json", microgpt.load),
    "meta.json of a chat": in_file(partial(model, chat=True), "meta.json", microgpt.load),
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
    "text: separator": separator,
    "text: one column": text("a.csv", b"sep=;\nname\nanna\n", b"name\nanna\n"),
    "text: several lines": text(
        "a.txt", b">a\nACG\nT\n>b\nC\n", b"X:1\na\n\nX:2\nb\n\nX:3\nc\n\nX:4\nd\n",
        b"a\n%\nb\n%\nc\n", b"a<|endoftext|>b\n", b"\xff\xfea\0\n\0",
    ),
    "text: folder": one_file(
        "a.txt", [b"a\n", b"b\n\nc\n"], lambda path: load_documents(path.parent, ReadOptions())
    ),
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
    "documents.crc32": hashes,
    "progress.json": in_file(start, "progress.json", read_progress),
    "HTTP: bodies": asgi,
    "HTTP: bytes": raw_http,
    "page: text": page(
        'import { dataOf, textOf } from "./documents.js";\n'
        'import { kindOf } from "./text_kind.js";\n'
        "const answer = (bytes) => { const text = textOf(bytes);\n"
        "dataOf(text, { text: kindOf(text), validation: 0.1, size: 8 }); };",
        "é a.\r\nb\r\n".encode() * 30,
    ),
}  # fmt: skip
