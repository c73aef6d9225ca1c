import json
import re
from pathlib import Path

import machine
import pytest

from microgpt.engine import processor

RESULTS = sorted((Path(__file__).parents[2] / "bench" / "results").glob("*/*.json"))


@pytest.mark.parametrize(
    ("llvm_name", "expected"),
    [
        ("znver3", "Zen 3"),
        ("znver5", "Zen 5"),
        ("sapphirerapids", "Sapphire Rapids"),
        ("icelake-server", "Ice Lake"),
        ("apple-m1", "apple-m1"),
    ],
)
def test_an_llvm_processor_name_is_translated_to_its_usual_name(
    llvm_name: str, expected: str
) -> None:
    assert machine.microarchitecture(llvm_name) == expected


@pytest.mark.parametrize(("vector_bytes", "expected"), [(64, ", AVX-512, "), (32, ", AVX2, ")])
def test_a_machine_is_described_by_its_vector_width(
    monkeypatch: pytest.MonkeyPatch, vector_bytes: int, expected: str
) -> None:
    monkeypatch.setattr(processor, "NAME", "znver4")
    monkeypatch.setattr(processor, "VECTOR_BYTES", vector_bytes)
    found = machine.machine()
    assert expected in found
    assert machine.short_name(found).endswith(f" (Zen 4, {8 * vector_bytes}-bit)")


def test_the_description_of_a_processor_without_avx_omits_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processor, "VECTOR_BYTES", 16)
    assert "AVX" not in machine.machine()


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_stored_results_are_in_the_folder_of_their_machine(path: Path) -> None:
    name = machine.short_name(json.loads(path.read_text())["machine"])
    assert re.fullmatch(r".+ \(.+, \d+-bit\)", name), "without microarchitecture and vector width"
    assert path.parent.name == machine.folder_name(name)
