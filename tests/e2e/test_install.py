"""Build the wheels, and install them with pip as a user does."""

import os
import re
import shutil
import sys
import urllib.request
from pathlib import Path
from zipfile import ZipFile

import pytest
from commands import every_command, run_process, running

from microgpt.data.documents import bundled
from microgpt_engine.kernel_cache import cache_directory

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(os.name != "posix", reason="runs commands in a shell"),
]


# The commands are in an order in which all can run: some need files that earlier ones write.
EVERY_COMMAND = """
chat hi
train --data names.txt --steps 20 --num-samples 1 --model one
train --data names.txt --steps 20 --num-samples 1 --architecture portable --model two
generate --model one --num-samples 2
info one
list
eval one --data names.txt
ladder --data names.txt --budget 1e8
score one --data names.txt --top 2
explain one emma
plot one
judge nannan
verify --steps 2
evolve --data names.txt --population 4 --generations 1 --workers 1
run --data names.txt --steps 50 --silent
sweep steps --data names.txt --set tripling --seeds 1 --workers 1
sweep resume experiments/sweep_*
sweep params --data names.txt --seeds 1 --workers 1
sweep grid --data names.txt --vary steps=5,10 --seeds 1 --workers 1
analyze
report
research start experiment.py --data names.txt --budget 1e7
research try --random 1
research log
research test
export plain --format json --output weights
export two --format transformers --output apertus
import apertus --model imported
export one --format html --output page.html
course start
course hint
course show 1 >course/01_tokenizer.py
course check 1
character new owl.toml
character try owl.toml
play
serve --port 0
"""
PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"}


def outside_environment(folder: Path) -> dict[str, str]:
    """Return the environment of a user without uv, with an empty home directory.

    The compiled kernels of the tests are reused, because the installed sources are the same.
    """
    (folder / "home").mkdir()
    for_pip = {
        name: text for name, text in os.environ.items() if name in PROXIES or name[:4] == "PIP_"
    }
    places = {"HOME": str(folder / "home"), "NUMBA_CACHE_DIR": str(cache_directory())}
    return {**for_pip, **places, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "BROWSER": "true"}


@pytest.fixture(scope="module")
def dist(tmp_path_factory) -> Path:
    """A directory with the wheels and source archives of all packages."""
    folder = tmp_path_factory.mktemp("dist")
    command = ["uv", "build", "--all-packages", "--out-dir", folder]
    run_process(command, cwd=ROOT, check=True)
    return folder


def test_installed_commands_succeed_or_name_the_missing_extra(dist, tmp_path) -> None:
    env = outside_environment(tmp_path)
    assert not shutil.which("uv", path=env["PATH"])

    def run(command: str, code: int = 0) -> str:
        done = run_process(["sh", "-c", f"exec {command}"], cwd=tmp_path, env=env)
        assert done.returncode == code, (command, done.stdout[-999:], done.stderr)
        return done.stderr if code else done.stdout

    # With --no-compile, Python compiles only the modules that the commands import.
    install = f"venv/bin/pip install --quiet --no-compile --find-links {dist}"
    run(f"{sys.executable} -m venv venv")
    run(f"{install} 'microgpt-cli[all]'")
    (tmp_path / "names.txt").write_text("\n".join(bundled("names.txt").read_text().split()[:500]))
    run("venv/bin/microgpt train --data names.txt --steps 2 --architecture karpathy --model plain")
    for command, extra in (("plot plain", "cli[plots]"), ("train --tokenizer bpe", "lib[bpe]")):
        missing = run(f"venv/bin/microgpt {command}", code=2)
        assert f"pip install 'microgpt-{extra}'" in missing
    run(f"{install} 'microgpt-cli[all,bpe,plots]'")
    shutil.copy(ROOT / "examples/research/experiment.py", tmp_path)
    *commands, play, serve = EVERY_COMMAND.strip().splitlines()
    for command in commands:
        run(f"venv/bin/microgpt {command}")
    program = tmp_path / "venv/bin/microgpt"
    for command in (play, serve):
        with running([program, *command.split()], cwd=tmp_path, env=env) as service:
            assert service.stderr
            line = next(line for line in service.stderr if "http://" in line)
            (url,) = re.findall(r"http://[\w.:]+", line)
            with urllib.request.urlopen(url) as reply:
                assert reply.status == 200
            service.terminate()
            assert service.wait(20) == 0


def test_the_installation_test_runs_every_command() -> None:
    groups = {name.rpartition(" ")[0] for name, _ in every_command()}
    for name, _ in every_command():
        assert name in groups or f"\n{name.partition(' ')[2]}" in EVERY_COMMAND, name


def test_each_package_is_built_as_a_pure_python_wheel(dist) -> None:
    n_packages = len([*ROOT.glob("[la]*/*/pyproject.toml"), "evolution"])
    assert len(list(dist.glob("*-any.whl"))) == len(list(dist.glob("*.whl"))) == n_packages


def test_the_librarys_wheel_has_its_data_but_no_benchmark_data(dist) -> None:
    (library,) = dist.glob("microgpt_lib*.whl")
    packed = ZipFile(library).namelist()
    for name in ("names.txt", "shakespeare.txt", "karpathy.py"):
        assert f"microgpt/_data/{name}" in packed
    assert "microgpt/_data/chat_fourth.jsonl" not in packed  # only a benchmark uses it
    assert library.stat().st_size < 3e6
