"""A model in one HTML file, with its weights, the engine in WebAssembly and the playground.

The file opens from disk in a browser and loads nothing. Browsers do not load modules from disk, so
the modules of the playground are joined into one script. The engine runs in a worker; its script,
its kernels, the training names and the model are stored in the file as data.
"""

import re
import zlib
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np

from microgpt.config import Sampling
from microgpt.data.documents import bundled
from microgpt.data.tokenizer import Tokenizer
from microgpt.engine.compiled_model import CompiledModel
from microgpt.errors import CheckpointError, ConfigError
from microgpt.inference import InferenceGpt
from microgpt.sampling import DecodeRules
from microgpt.storage.weights_file import tensors_of
from microgpt_serve.local_file import model_file, packed_engine
from microgpt_serve.served_model import ServedModel

PLAYGROUND = Path(__file__).parent / "playground"
MAX_BYTES = 2**25  # of the weights: 16 million in half precision
N_GREEDY, N_PROMPTS = 200, 20  # number of greedy tokens that are compared, and of their prompts
IMPORT = re.compile(r'^import (\{[^}]*\}) from "([^"]+)";.*\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const|let) (\w+))", re.MULTILINE)
COMMENT = re.compile(  # on lines of its own, or the type of what follows
    r"^ *(?://.*|/\*\*(?:[^*]|\*(?!/))*\*/)\n|/\*\* @type [^*]*\*/ ", re.MULTILINE
)
MARKED = re.compile(r"<!-- (\w+) -->.*?<!-- end -->", re.DOTALL)  # other in a file
NO_NAME = re.compile(r"\W")
# Modules of the playground, and those that are in the file instead.
INSTEAD = {PLAYGROUND / "service.js": PLAYGROUND / "local" / "client.js"}
DAMAGED = """<p id="damaged" class="error">If this line stays, the file is damaged or the browser is
too old. Open the file in a current version of Firefox, Chrome, Edge or Safari, or ask for another
copy of it.</p>"""


def html_file(served: ServedModel) -> bytes:
    """Return the HTML file of a model.

    Raises:
        ConfigError: the model is too large for a page.
    """
    n_bytes = 2 * served.gpt.num_params
    if n_bytes > MAX_BYTES:
        raise ConfigError(
            f"the model is too large for a page: its {served.gpt.num_params:,} weights take "
            f"{n_bytes / 2**20:,.0f} MiB in half precision; at most {MAX_BYTES // 2**20} MiB are "
            "allowed; use --format safetensors"
        )
    dtype = _dtype(served.gpt)
    precision = "half" if dtype == "float16" else "single"
    about = (
        f"This file has the model, with {served.gpt.num_params:,} weights in {precision} precision "
        f"({dtype}), and the engine of microgpt {version('microgpt-serve')}. It works without a "
        "network."
    )
    data = {
        "engine-code": joined("local/worker.js").encode(),
        "engine-data": packed_engine(),
        "names-data": bundled("names.txt").read_bytes(),
        "model-data": model_file(served, dtype=dtype).packed(),
    }
    return _page(about, data)


def _page(about: str, data: Mapping[str, bytes]) -> bytes:
    """Return the playground as one page, with data blocks that its script finds by name."""
    script, style = joined("main.js"), _read("style.css")
    icon = b64encode((PLAYGROUND / "icon.svg").read_bytes()).decode()
    rules = [
        "default-src 'none'",
        "img-src data:",
        f"script-src '{_hash(script)}' 'wasm-unsafe-eval'",
        f"style-src '{_hash(style)}'",
        "worker-src blob:",
        *(f"{rule} 'none'" for rule in ("base-uri", "form-action")),
    ]
    policy = f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(rules)}">'
    instead = {"service": "", "damaged": DAMAGED, "about": escape(about)}
    page = MARKED.sub(lambda part: instead[part[1]], _read("index.html"))
    blocks = []
    for name, part in data.items():
        packed = b64encode(zlib.compress(part, 9)).decode()
        blocks.append(f'<script type="text/plain" id="{name}">{packed}</script>\n')
    for old, new in {
        '<meta charset="utf-8">\n': f'<meta charset="utf-8">\n{policy}\n',
        'href="playground/icon.svg"': f'href="data:image/svg+xml;base64,{icon}"',
        '<link rel="stylesheet" href="playground/style.css">': f"<style>{style}</style>",
        '<script type="module" src="playground/main.js"></script>\n': "",
        "</body>": f"{''.join(blocks)}<script>{script}</script>\n</body>",
    }.items():
        before, rest = page.split(old, 1)
        page = before + new + rest
    return page.encode()


def _read(name: str) -> str:
    return (PLAYGROUND / name).read_text("utf-8")


def _hash(text: str) -> str:
    """Return the hash of a script or a style for the content security policy."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def joined(name: str) -> str:
    """Return one script with a module and all modules that it imports, without comments.

    Each module becomes a function that returns its exports.
    """
    parts: dict[Path, str] = {}

    def add(file: Path) -> str:
        """Add a module after the modules that it imports; return the name of its exports."""
        name = f"module_{re.sub(NO_NAME, '_', file.relative_to(PLAYGROUND).as_posix())}"

        def imported(match: re.Match[str]) -> str:
            other = (file.parent / match[2]).resolve()
            return f"const {match[1]} = {add(INSTEAD.get(other, other))};\n"

        if file not in parts:
            script = IMPORT.sub(imported, COMMENT.sub("", file.read_text("utf-8")))
            exported = ", ".join(EXPORT.findall(script))
            script = f"{EXPORT.sub('', script)}return {{ {exported} }};\n"
            parts[file] = f"const {name} = (() => {{\n{script}}})();\n"
        return name

    add(PLAYGROUND / name)
    return '"use strict";\n' + "".join(parts.values())


def _dtype(gpt: InferenceGpt) -> Literal["float16", "float32"]:
    """Return half precision if rounding the weights changes no greedy token, else single."""
    try:
        tensors = tensors_of(gpt.config, gpt.weights, "float16")
    except CheckpointError:  # a weight is too large
        return "float32"
    flat = np.concatenate([tensor.ravel() for tensor in tensors.values()])
    rounded = CompiledModel(gpt.config, flat, "float32")
    is_same = _greedy(rounded, gpt.tokenizer) == _greedy(gpt.compiled, gpt.tokenizer)
    return "float16" if is_same else "float32"


def _greedy(model: CompiledModel, tokenizer: Tokenizer) -> list[list[int]]:
    """Return greedy continuations of some prompts."""
    prompts = [[tokenizer.bos_id, token] for token in range(tokenizer.special_ids[0])]
    if tokenizer.is_chat:
        user, assistant = tokenizer.role_id("user"), tokenizer.role_id("assistant")
        prompts = [[bos, user, token, tokenizer.end_turn_id, assistant] for bos, token in prompts]
    prompts = [prompt[-model.config.block_size :] for prompt in prompts[:N_PROMPTS]]
    rules = DecodeRules(max_tokens=-(-N_GREEDY // len(prompts)), sampling=Sampling(0))
    return list(model.decode_many(prompts, [0] * len(prompts), rules))
