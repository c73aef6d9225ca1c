"""Every parser that bench/fuzz.py attacks reads our files, and refuses changed ones in a line."""

import random
import shutil
from collections.abc import Iterator
from importlib.util import find_spec

import fuzz
import pytest
from fuzz_parsers import PARSERS, PROCESSES

N_INPUTS = 40


@pytest.mark.slow
@pytest.mark.parametrize("name", PARSERS)
def test_a_changed_file_or_request_breaks_no_parser(name, tmp_path, monkeypatch) -> None:
    if name.startswith("page") and not shutil.which("node"):
        pytest.skip("Node is not installed")
    if name == "import: torch.save" and not find_spec("torch"):
        pytest.skip("PyTorch is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fuzz, "KEPT", tmp_path)
    seeds, parse = PARSERS[name](tmp_path / "files")
    for seed in seeds:
        parse(seed)
    attack, rng = fuzz.Attack(name, parse), random.Random(1)
    for _ in range(N_INPUTS):
        seed = rng.choice(seeds)
        attack.attempt(fuzz.changed_json(seed, rng) or seed[: rng.randrange(len(seed))])
    assert not attack.kinds


@pytest.fixture(autouse=True)
def _end_processes() -> Iterator[None]:
    yield
    while PROCESSES:
        with PROCESSES.pop() as process:
            process.kill()
