"""A model as one HTML document, with its weights, the engine in WebAssembly, and the interface.

The document works as a file or from a service, and loads no other file. Browsers load no modules
from disk, so the modules of `web/` are joined into one script. The engine runs in a worker; its
script, its kernels, the bundled names and the model are stored in the document as data.
"""

import re
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from microgpt import ConfigError, SavedModel, bundled, count_params
from microgpt_engine import wasm
from microgpt_page.packed_files import engine_file, model_file

WEB = Path(__file__).parent / "web"
MAX_BYTES = 20_000_000  # maximum size of the weights in single precision
IMPORT = re.compile(r'^import (\{[^}]*\}) from "([^"]+)";.*\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const|let) (\w+))", re.MULTILINE)
COMMENT = re.compile(  # matches comment lines, and type annotations before an expression
    r"^ *(?://.*|/\*\*(?:[^*]|\*(?!/))*\*/)\n|/\*\* @type [^*]*\*/ ", re.MULTILINE
)
INDENT = re.compile(r"^ +", re.MULTILINE)
NO_NAME = re.compile(r"\W")


def document(saved: SavedModel, name: str, others: Sequence[str] = ()) -> bytes:
    """Return the document of a model, with its weights in single precision.

    Args:
        name: the name that the page shows.
        others: names of models to link to, at the same address with `?model=NAME`.

    Raises:
        ConfigError: the model is too large for a page, or the engine cannot be compiled.
    """
    n_bytes = 4 * count_params(saved.model)
    if n_bytes > MAX_BYTES:
        raise ConfigError(
            f"the model {name} is too large for a page: its {n_bytes // 4:,} weights take "
            f"{n_bytes / 1e6:,.0f} MB; at most {MAX_BYTES // 10**6} MB are allowed; use it "
            "from the command line or over HTTP"
        )
    return built(saved, name, "float32", others)


def built(
    saved: SavedModel,
    name: str,
    dtype: Literal["float16", "float32"],
    others: Sequence[str] = (),
    *,
    is_plain: bool = False,
) -> bytes:
    """Return the document of a model, whose weights are stored in `dtype`; see `model_file`."""
    script, style, icon = joined("main.js"), _read("style.css"), _read("icon.svg").strip()
    precision = "half" if dtype == "float16" else "single"
    about = (
        f"This page has the model, with {count_params(saved.model):,} weights in {precision} "
        f"precision ({dtype}), and the engine of microgpt {version('microgpt-page')}. It works "
        "without a network."
    )
    links = " ".join(f'<a href="?model={quote(one, "")}">{escape(one)}</a>' for one in others)
    data = {
        "engine-code": joined("engine/worker.js").encode(),
        "engine-data": engine_file(wasm.modules(wasm.TRAINING)).packed(),
        "names-data": bundled("names.txt").read_bytes(),
        "model-data": model_file(saved, name, dtype, is_plain=is_plain).packed(),
    }
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{policy()}">\n'
        f'<link rel="icon" href="data:image/svg+xml,{quote(icon)}">\n<style>{style}</style>'
    )
    return _filled(
        _read("index.html"),
        {
            "head": head,
            "mark": icon,
            "others": f'<p id="others">Other models: {links}</p>' if others else "",
            "about": escape(about),
            "data": f"{_blocks(data)}<script>{script}</script>",
        },
    ).encode()


@cache
def policy() -> str:
    """Return the content security policy of a document, which forbids every connection."""
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"script-src '{_hash(joined('main.js'))}' 'wasm-unsafe-eval'",
            f"style-src '{_hash(_read('style.css'))}'",
            "worker-src blob:",
            *(f"{rule} 'none'" for rule in ("base-uri", "form-action")),
        )
    )


def _filled(page: str, parts: Mapping[str, str]) -> str:
    """Return a page with its placeholders, such as `<!-- about -->`, replaced."""
    for name, part in parts.items():
        before, rest = page.split(f"<!-- {name} -->", 1)
        page = before + part + rest
    return page


def _blocks(data: Mapping[str, bytes]) -> str:
    """Return compressed data in script elements, which the page's script finds by their ids."""
    packed = {name: b64encode(zlib.compress(part, 9)).decode() for name, part in data.items()}
    return "".join(f'<script type="text/plain" id="{k}">{v}</script>\n' for k, v in packed.items())


def _read(name: str) -> str:
    return (WEB / name).read_text("utf-8")


def _hash(text: str) -> str:
    """Return the hash of a script or a style for the content security policy."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


@cache
def joined(name: str) -> str:
    """Join a module and all that it imports into one script, without comments and indentation.

    Each module becomes a function that returns its exports.
    """
    parts: dict[Path, str] = {}

    def add(file: Path) -> str:
        """Add a module after its imports; return the name of the constant with its exports."""
        name = f"module_{re.sub(NO_NAME, '_', file.relative_to(WEB).as_posix())}"

        def imported(match: re.Match[str]) -> str:
            return f"const {match[1]} = {add((file.parent / match[2]).resolve())};\n"

        if file not in parts:
            script = IMPORT.sub(imported, COMMENT.sub("", file.read_text("utf-8")))
            exported = ", ".join(EXPORT.findall(script))
            script = f"{EXPORT.sub('', script)}return {{ {exported} }};\n"
            parts[file] = f"const {name} = (() => {{\n{script}}})();\n"
        return name

    add((WEB / name).resolve())
    return INDENT.sub("", '"use strict";\n' + "".join(parts.values()))
