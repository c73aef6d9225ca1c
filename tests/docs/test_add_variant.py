"""The changes of docs/add_variant.md, applied to a copy of the source, teach both engines."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "add_variant.md").read_text(encoding="utf-8")
SOURCES = [Path(f"libs/{name}/src") for name in ("microgpt", "microgpt_engine")]
CONFIRM = """
    import re
    from microgpt import edited_sources as edited
    text = (edited.FOLDER / "edited_sources.py").read_text("utf-8")
    for name, known in edited.IMPLEMENTED.items():
        text = text.replace(known, edited.code_hash((edited.FOLDER / name).read_text("utf-8")))
    text = text.replace(edited.UNCHANGED, edited.files_hash())
    (edited.FOLDER / "edited_sources.py").write_text(text, "utf-8")
"""
TRAIN = """
    from microgpt import InferenceGpt, ModelConfig, TrainConfig, train
    model = ModelConfig(n_embd=8, block_size=8, activation="leaky")
    docs, settings = ["anna", "emma", "olivia"], dict(steps=12, lr=0.02, dtype="float64")
    found = [train(docs, model=model, config=TrainConfig(engine=engine, **settings))
             for engine in ("compiled", "reference")]
    for one, other in zip(*(each.losses for each in found), strict=True):
        assert abs(one - other) < 1e-12, (one, other)
    texts = [InferenceGpt(found[0], engine=engine).generate(5, seed=1)
             for engine in ("compiled", "reference")]
    assert texts[0] == texts[1], texts
"""


def changes() -> list[tuple[str, str, str]]:
    """Return the file of each diff, which the text above it links, the old and the new lines."""
    found = []
    for block in re.finditer(r"```diff\n(.*?)```", GUIDE, re.DOTALL):
        path = re.findall(r"\]\(\.\./(\S+\.py)\)", GUIDE[: block.start()])[-1]
        lines = block[1].splitlines()
        old, new = (
            "\n".join(line[1:] for line in lines if line[0] in signs) for signs in (" -", " +")
        )
        found.append((path, old, new))
    return found


@pytest.mark.slow
def test_following_the_guide_adds_a_variant_to_both_engines(tmp_path) -> None:
    for source in SOURCES:
        shutil.copytree(ROOT / source, tmp_path / source)
    for name, old, new in changes():
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"adapt the diff in docs/add_variant.md to {name}: {old}"
        (tmp_path / name).write_text(text.replace(old, new), encoding="utf-8")

    def run(code: str) -> None:
        path = os.pathsep.join(str(tmp_path / source) for source in SOURCES)
        env = os.environ | {"PYTHONPATH": path, "NUMBA_CACHE_DIR": str(tmp_path)}
        command = [sys.executable, "-c", textwrap.dedent(code)]
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    run(CONFIRM)
    run(TRAIN)
