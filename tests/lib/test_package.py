"""Tests of the public names and imports of the library, and the size of the reference engine."""

import ast
import doctest
import sys
from importlib import import_module
from pathlib import Path

from commands import run_process

import microgpt

SOURCE = Path(microgpt.__file__).parent
REFERENCE = ("value", "model", "reference")


def test_the_library_exports_documented_public_names() -> None:
    assert microgpt.__all__ == [
        "BpeTokenizer", "CharTokenizer", "Checkpoints", "FoldingTokenizer", "Gpt", "Hook",
        "InferenceGpt", "Message", "MicrogptError", "ModelConfig", "OnEvent", "Sampling",
        "StopWhen", "TrainConfig", "TrainEvent", "TrainResult", "Value", "load",
        "load_conversations", "load_text", "save", "train",
    ]  # fmt: skip
    for name in microgpt.__all__:
        doc = getattr(microgpt, name).__doc__
        assert doc
        assert not doc.startswith(f"{name}(")  # the default docstring of a dataclass
    assert set(microgpt.__all__) <= set(dir(microgpt))


def test_docstring_examples_of_inference_give_the_shown_output() -> None:
    results = doctest.testmod(import_module("microgpt.inference"))
    assert results.attempted > 0
    assert results.failed == 0


def test_importing_the_package_loads_no_submodules_or_pydantic() -> None:
    program = (
        "import sys, microgpt;"
        "print([name for name in sys.modules if name.startswith(('microgpt.', 'pydantic'))])"
    )
    loaded = run_process([sys.executable, "-c", program], check=True)
    assert loaded.stdout.strip() == "[]"


def imports_of(path: Path) -> set[str]:
    """Return the imports of a module, including lazy imports and imports for type checking."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def path_of(module: str) -> Path | None:
    """Return the file of a module of the library; None for `microgpt` and other packages."""
    path = SOURCE.joinpath(*module.split(".")[1:])
    files = (path.with_suffix(".py"), path / "__init__.py")
    found = (file for file in files if module.startswith("microgpt.") and file.exists())
    return next(found, None)


def test_the_reference_engine_has_at_most_500_lines_in_all() -> None:
    files, pending = set(), [SOURCE / f"{name}.py" for name in REFERENCE]
    while pending:
        if (file := pending.pop()) not in files:
            files.add(file)
            pending += filter(None, map(path_of, imports_of(file)))
    assert {file.stem for file in files} > {*REFERENCE, "model_config"}  # imports are included
    assert sum(len(file.read_text().splitlines()) for file in files) <= 500


def test_the_reference_engine_needs_only_the_standard_library() -> None:
    allowed = {*sys.stdlib_module_names, "microgpt"}
    for name in (*REFERENCE, "model_config", "config", "errors", "sampling"):
        assert {module.split(".")[0] for module in imports_of(SOURCE / f"{name}.py")} <= allowed
