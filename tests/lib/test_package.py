"""What the library promises as a whole: its names, its weight, its length."""

import ast
import subprocess
import sys
from pathlib import Path

import microgpt

SOURCE = Path(microgpt.__file__).parent
REFERENCE = ("value", "model", "reference")


def test_the_public_names() -> None:
    assert microgpt.__all__ == [
        "CharTokenizer",
        "Gpt",
        "InferenceGpt",
        "Message",
        "MicrogptError",
        "ModelConfig",
        "TrainConfig",
        "TrainEvent",
        "TrainResult",
        "Value",
        "load",
        "load_conversations",
        "load_text",
        "save",
    ]
    assert all(getattr(microgpt, name).__doc__ for name in microgpt.__all__)
    assert set(microgpt.__all__) <= set(dir(microgpt))


def test_no_public_name_is_that_of_a_module() -> None:
    modules = {path.stem for path in SOURCE.glob("*.py")}
    assert not modules & set(microgpt.__all__)


def test_importing_the_package_loads_nothing_else() -> None:
    program = (
        "import sys, microgpt;"
        "print([name for name in sys.modules if name.startswith(('microgpt.', 'pydantic'))])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"


def test_the_reference_is_short_enough_for_an_evening() -> None:
    lines = sum(len((SOURCE / f"{name}.py").read_text().splitlines()) for name in REFERENCE)
    assert lines <= 400


def test_the_reference_needs_the_standard_library_alone() -> None:
    allowed = {*sys.stdlib_module_names, "microgpt"}
    for name in (*REFERENCE, "config", "errors", "sampling"):
        for node in ast.walk(ast.parse((SOURCE / f"{name}.py").read_text())):
            if isinstance(node, ast.Import):
                imported = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported = {(node.module or "").split(".")[0]}
            else:
                continue
            assert imported <= allowed
