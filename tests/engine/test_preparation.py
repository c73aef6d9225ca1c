"""What is told while kernels are loaded and compiled."""

from microgpt_engine import machine_code, preparation


def test_a_refused_code_file_is_reported_before_compilation(monkeypatch) -> None:
    refusals = iter(["microgpt-add is damaged and not used"])

    def load(kinds) -> None:
        for line in refusals:
            machine_code.report(line)

    monkeypatch.setattr(preparation, "_load", load)
    monkeypatch.setattr(machine_code, "can_be_kept", lambda: False)
    told: list[str] = []
    preparation.prepare(["float32"], ["training"], told.append)
    assert told == ["microgpt-add is damaged and not used", machine_code.COMPILING]
