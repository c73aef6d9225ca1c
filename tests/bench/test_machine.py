import machine
import pytest

from microgpt_engine import processor


@pytest.mark.parametrize(
    ("llvm_name", "expected"),
    [("znver3", "Zen 3"), ("sapphirerapids", "sapphirerapids"), ("apple-m1", "apple-m1")],
)
def test_amd_processors_have_their_usual_names(
    monkeypatch: pytest.MonkeyPatch, llvm_name: str, expected: str
) -> None:
    monkeypatch.setattr(processor, "NAME", llvm_name)
    assert f" ({expected}, " in machine.machine()


@pytest.mark.parametrize(
    ("vector_bytes", "expected"),
    [(64, "512-bit), AVX-512, "), (32, "256-bit), AVX2, "), (16, "128-bit), ")],
)
def test_a_machine_is_described_by_its_vector_width(
    monkeypatch: pytest.MonkeyPatch, vector_bytes: int, expected: str
) -> None:
    monkeypatch.setattr(processor, "VECTOR_BYTES", vector_bytes)
    found = machine.machine()
    assert expected in found
    assert ("AVX" in found) == (vector_bytes > 16)
