"""The wheels, built and installed as a pip user does."""

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from zipfile import ZipFile

import pytest
from commands import every_command, run_process, running

from microgpt.data.documents import bundled
from microgpt.engine import processor

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(os.name != "posix", reason="builds with a script for a shell"),
    pytest.mark.skipif(not processor.IN_WHEEL, reason="no wheel is for this processor"),
]


# Commands in the order in which they can run: each needs what those before it have written.
EVERY_COMMAND = """
chat --message hi
train --data names.txt --steps 20 --num-samples 1 --model one
train --data names.txt --steps 20 --num-samples 1 --seed 1 --without emm --model two
generate --model one --num-samples 2
info one
list
eval one --data names.txt
score one --data names.txt --top 2
explain one emma
compare one two emma
why one emma --groups 1 --seeds 0
plot one
judge nannan
verify --steps 2
evolve --data names.txt --population 4 --generations 1 --workers 1
genome use experiments/evolve_*[0-9]
genome show
genome import-log experiments/evolve_*.log
run --data names.txt --steps 50 --silent
sweep steps --data names.txt --set tripling --seeds 1 --workers 1
sweep resume experiments/sweep_*
sweep params --data names.txt --seeds 1 --workers 1
sweep grid --data names.txt --steps 5,10 --seeds 1 --workers 1
analyze
report
export plain --format json --output weights
import weights/weights.json --n-head 4 --data names.txt --model imported
export one --format html --output page.html
course start
course hint
course show 1 >course/01_tokenizer.py
course check 1
dataset chat --conversations 5
remove one two --yes
serve --port 0
"""
PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"}


def outside_environment(folder: Path) -> dict[str, str]:
    """Return the environment of a user without uv, with an empty home directory."""
    (folder / "home").mkdir()
    for_pip = {
        name: text for name, text in os.environ.items() if name in PROXIES or name[:4] == "PIP_"
    }
    return {**for_pip, "HOME": str(folder / "home"), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


def build(root: Path, folder: Path, **settings: str) -> Path:
    """Build all packages, and the library with machine code for this processor, to a folder."""
    command = [root / ".ci/build_wheels", folder, processor.IN_WHEEL]
    run_process(command, cwd=root, env={**os.environ, **settings}, check=True)
    return folder


@pytest.fixture(scope="module")
def dist(tmp_path_factory) -> Path:
    """Return a directory with the wheels and the source archives."""
    return build(ROOT, tmp_path_factory.mktemp("dist"))


def wheel_with_machine_code(dist: Path) -> Path:
    (wheel,) = set(dist.glob("*.whl")) - set(dist.glob("*-any.whl"))
    return wheel


def test_every_command_works_in_an_environment_of_pip(dist, tmp_path) -> None:
    env = outside_environment(tmp_path)
    assert not shutil.which("uv", path=env["PATH"])

    def run(command: str, code: int = 0) -> str:
        done = run_process(["sh", "-c", f"exec {command}"], cwd=tmp_path, env=env)
        assert done.returncode == code, (command, done.stdout[-999:], done.stderr)
        return done.stderr if code else done.stdout

    run(f"{sys.executable} -m venv venv")
    run(f"venv/bin/pip install --quiet --find-links {dist} microgpt-cli")
    assert "No module named 'numba'" in run("venv/bin/python -c 'import numba'", code=1)
    (tmp_path / "names.txt").write_text("\n".join(bundled("names.txt").read_text().split()[:500]))
    run("venv/bin/microgpt train --data names.txt --steps 2 --positions learned --model plain")
    for command, extra in (("plot plain", "cli[plots]"), ("train --tokenizer bpe", "lib[bpe]")):
        missing = run(f"venv/bin/microgpt {command}", code=2)
        assert f"pip install 'microgpt-{extra}'" in missing
    run(f"venv/bin/pip install --quiet --find-links {dist} 'microgpt-cli[bpe,patterns,plots]'")
    *commands, serve = EVERY_COMMAND.strip().splitlines()
    for command in commands:
        run(f"venv/bin/microgpt {command}")
    program = tmp_path / "venv/bin/microgpt"
    with running([program, *serve.split()], cwd=tmp_path, env=env) as service:
        assert service.stderr
        line = next(line for line in service.stderr if "serving " in line)
        (url,) = re.findall(r"http://[\w.:]+", line)
        with urllib.request.urlopen(f"{url}/ready") as reply:
            assert reply.status == 200
        service.terminate()
        assert service.wait(20) == 0
    run(f"venv/bin/pip install --quiet --no-deps --force-reinstall {dist}/microgpt_lib*any.whl")
    run("venv/bin/pip install --quiet 'microgpt-lib[compiler]'")
    assert run("venv/bin/microgpt verify --steps 2").count(": Karpathy's run, 2 of 1000 steps") == 3


def test_the_list_above_has_every_command() -> None:
    groups = {name.rpartition(" ")[0] for name, _ in every_command()}
    for name, _ in every_command():
        assert name in groups or f"\n{name.partition(' ')[2]}" in EVERY_COMMAND, name


def test_the_wheels_and_archives_have_what_belongs_in_them(dist) -> None:
    assert len(list(dist.glob("*-any.whl"))) == len(list(dist.glob("*.tar.gz"))) == 5
    for library in (wheel_with_machine_code(dist), *dist.glob("microgpt_lib*-any.whl")):
        packed = ZipFile(library).namelist()
        assert {"microgpt/_data/names.txt", "microgpt/_data/shakespeare.txt"} < {*packed}
        assert not [name for name in packed if "oasst1" in name.lower()]  # see decision 26
        compiled = {"microgpt/_wasm/take_steps-f4.wasm", "microgpt/_wasm/decode-f8.wasm"}
        assert (compiled < {*packed}) == ("-any" not in library.name)
        assert library.stat().st_size < 3e6


def test_two_builds_from_different_places_have_the_same_bytes(dist, tmp_path) -> None:
    files = run_process(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True)
    clone = tmp_path / "another place"
    for file in map(Path, files.stdout.splitlines()):
        if (ROOT / file).is_file():
            (clone / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / file, clone / file)  # with other times and other permissions
            (clone / file).chmod((ROOT / file).stat().st_mode & 0o700)
    again = build(clone, tmp_path / "dist", TZ="Asia/Tokyo", PYTHONHASHSEED="7")
    built = [file for file in again.iterdir() if file.suffix in (".whl", ".gz")]
    assert len(built) == 11
    for file in built:
        assert file.read_bytes() == (dist / file.name).read_bytes(), file.name


def test_a_wheel_with_machine_code_needs_no_compiler(dist, tmp_path) -> None:
    def run(*command: str | Path, **settings: str) -> str:
        return run_process(command, cwd=tmp_path, env={**os.environ, **settings}, check=True).stdout

    wheel = wheel_with_machine_code(dist)
    run("uv", "venv", "--python", sys.executable, tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    run("uv", "pip", "install", "--python", python, wheel)
    program = (
        "import json, sys\n"
        "from microgpt import InferenceGpt, ModelConfig, TrainConfig, train\n"
        "docs, found = ['anna', 'emma', 'bob', 'olivia'] * 20, []\n"
        "for threads in (1, 2):\n"
        "    for dtype in ('float32', 'float64'):\n"
        "        config = TrainConfig(steps=20, batch_size=64, optimizer='muon')\n"
        "        shape = ModelConfig(n_embd=64, n_head=4, positions='rotary')\n"
        "        result = train(docs, model=shape, config=config, dtype=dtype, threads=threads)\n"
        "        model = InferenceGpt(result)\n"
        "        names = model.generate(20, seed=1) + model.generate(1, seed=2)\n"
        "        found.append([result.losses, names])\n"
        "print(json.dumps(found), 'numba' in sys.modules)"
    )
    alone = run(python, "-c", program, NUMBA_CACHE_DIR=str(tmp_path / "empty"))
    assert alone.endswith("False\n")
    assert not (tmp_path / "empty").exists()
    assert run(sys.executable, "-c", program).split("]")[:-1] == alone.split("]")[:-1]
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run(python, "-c", program, NUMBA_CPU_NAME="generic")
    assert caught.value.stderr.endswith("pip install 'microgpt-lib[compiler]'\n")
