"""Evolution: the creature, searches by loss and beauty, the Hydra, sweeps and their analysis."""

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("microgpt_evolution")

# A genome.json with the keys of the document's program
DNA = {"n_emb": 24, "n_ctx": 16, "n_layer": 2, "n_head": 4, "n_ff_exp": 3, "steps": 500}
DNA |= {"lr": 0.0092, "loss": 1.4909, "generation": 8, "evolved": True}
N_WEIGHTS = 13_200  # of its model
CHAMPION = re.compile(
    r"^  \[(\w+)\] +Champion: Emb:(\d+) Head:(\d+) Lay:(\d+) LR:(\d\.\d{4})"
    r" -> Score: (-?\d+\.\d\d) \((\w+)\)$",
    re.MULTILINE,
)
HEADS = [("Weaver", "Flow", 1.0), ("Mirror", "Symmetry", 5.5), ("Spark", "Creativity", 2.5)]
GATHERING = "  >> The Gathering: Genes exchanged. The organism learns from all heads."
FAILING = """
import sys
from importlib.metadata import entry_points
from pathlib import Path
import microgpt

train, calls = microgpt.train, []

def fail_once(*args, **options):
    calls.append(1)
    if len(calls) == 3:
        Path("failed").touch()
        raise OSError("broken")
    return train(*args, **options)

microgpt.train = sys.modules[train.__module__].train = fail_once
(command,) = entry_points(group="console_scripts", name="microgpt")
sys.exit(command.load()())
"""


def genome(folder: Path) -> dict[str, object]:
    """Return the content of genome.json."""
    return json.loads((folder / "genome.json").read_text(encoding="utf-8"))


def log(folder: Path) -> str:
    """Return the log of the one search in a folder."""
    (path,) = (folder / "experiments").glob("*.log")
    assert re.fullmatch(r"evolve_\d{8}_\d{6}\.log", path.name)
    return path.read_text(encoding="utf-8")


def shows(stdout: str, number: float) -> bool:
    """Return whether a number is printed, perhaps with commas."""
    return re.search(rf"(?<![\d.,]){number}\b", stdout.replace(",", "")) is not None


@pytest.fixture
def evolved(tmp_path: Path) -> Path:
    """A folder with a genome.json of the document's program."""
    (tmp_path / "genome.json").write_text(json.dumps(DNA, indent=2), encoding="utf-8")
    return tmp_path


# S0.3, S0.8, S0.14, S0.18, S1.9, S1.13, S1.32, S1.35, S1.40, S2.11
def test_without_a_genome_the_creature_is_primordial(run, tmp_path) -> None:
    stdout = run("microgpt", "run", cwd=tmp_path).stdout
    assert "Primordial" in stdout
    assert '"I am unformed"' in stdout
    for number in (4192, 200, 0.005):  # weights, steps, learning rate
        assert shows(stdout, number)
    assert len(re.findall(r"^(?:> |sample +\d+: )([a-z]+)$", stdout, re.MULTILINE)) >= 5
    assert not (tmp_path / "genome.json").exists()


# S0.6, S0.8, S0.11, S0.11b, S0.24, S1.12, S1.17, S1.32, S1.35
def test_with_a_genome_the_creature_is_evolved(run, evolved) -> None:
    stdout = run("microgpt", "run", cwd=evolved).stdout
    assert "Evolved" in stdout
    assert '"I have become"' in stdout
    for number in (N_WEIGHTS, 500, 0.0092, 8):  # weights, steps, learning rate, generation
        assert shows(stdout, number)
    assert genome(evolved) == DNA


# S0.8: what is broken is not read in part
@pytest.mark.parametrize(
    "content", ["{", "[]", json.dumps(DNA | {"n_head": 7}), json.dumps(DNA | {"steps": "many"})]
)
def test_a_broken_genome_is_refused(run, content: str, tmp_path) -> None:
    (tmp_path / "genome.json").write_text(content, encoding="utf-8")
    done = run("microgpt", "run", cwd=tmp_path, code=2)
    assert re.search(r"^error: .*genome\.json", done.stderr, re.MULTILINE)


# S1.17b, S0.2, S0.11b: a genome feeds training from the command line
@pytest.mark.slow
def test_a_genome_feeds_training(run, evolved) -> None:
    args = ("train", "--genome", "genome.json", "--output", "output")
    stdout = run("microgpt", *args, cwd=evolved).stdout
    assert f"num params: {N_WEIGHTS}\n" in stdout
    assert re.search(r"^step +500 / +500 \|", stdout, re.MULTILINE)
    meta = json.loads((evolved / "output" / "meta.json").read_text(encoding="utf-8"))
    assert [meta[key] for key in ("n_embd", "n_head", "n_layer", "block_size")] == [24, 4, 2, 16]


# flow + 1.2 × symmetry + 2 × creativity; a name of the training data costs 10
TOTALS = {"nannan": 6.94, "lelel": 6.70, "mama": 4.54, "emaleia": 1.74, "abcd": 1.50}
TOTALS |= {"axxxxb": -0.50, "anna": -6.86}


# S0.28, S1.26, S1.27, S1.28, S2.17, S2.18, S2.19
def test_the_judge_scores_flow_symmetry_and_creativity(run, tmp_path) -> None:
    stdout = run("microgpt", "judge", *TOTALS, cwd=tmp_path).stdout
    for name, total in TOTALS.items():
        (row,) = re.findall(rf"^{name} +(.+)$", stdout, re.MULTILINE)
        assert total in [float(number) for number in re.findall(r"-?\d+\.\d+", row)], name


# S2.17p: names that a model has generated
@pytest.mark.slow
def test_the_judge_scores_what_a_model_generates(run, names) -> None:
    stdout = run("microgpt", "generate", "--num-samples", "5", cwd=names).stdout
    judged = run("microgpt", "judge", cwd=names, stdin=stdout).stdout
    for line in stdout.splitlines():
        assert re.search(rf"^{line.split()[-1]} .*\d\.\d", judged, re.MULTILINE)


@pytest.fixture(scope="module")
def loss_search(run, compiled, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A search by the loss of the last document, as in the document's program."""
    folder = tmp_path_factory.mktemp("loss")
    args = ("evolve", "--fitness", "last-doc", "--generations", "3", "--trace")
    return folder, run("microgpt", *args, cwd=folder)


# S0.5, S0.11, S0.34, S1.8, S1.38
@pytest.mark.slow
def test_a_search_by_loss_writes_the_genome(loss_search) -> None:
    folder, _ = loss_search
    written = genome(folder)
    assert {*DNA} <= written.keys()
    assert written["evolved"] is True
    assert 1 <= written["generation"] <= 3
    assert written["n_emb"] % written["n_head"] == 0
    assert 0 < written["loss"] < 3.2958  # the loss of a uniform guess


# S0.10, S0.12, S0.32, S0.37, S1.43
@pytest.mark.slow
def test_a_search_by_loss_is_logged_with_its_target(loss_search) -> None:
    folder, _ = loss_search
    assert re.search(r"target.*< ?1\.2\b", log(folder), re.IGNORECASE)


# S0.33: three generations of eight, of which some are known already
@pytest.mark.slow
def test_a_search_tells_of_each_organism_on_standard_error(loss_search) -> None:
    _, done = loss_search
    assert len(re.findall(r"\borganism\b.*\bloss\b.*\d\.\d", done.stderr)) >= 20


# S0.4, S0.19, S0.33, S0.34, S0.38: the default application, while it runs and at its end
@pytest.mark.slow
def test_organisms_are_told_of_in_real_time(compiled, tmp_path) -> None:
    command = [Path(sys.executable).with_name("microgpt"), "evolve", "--trace"]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    with subprocess.Popen(command, cwd=tmp_path, **streams) as process:
        assert any("organism" in line for line in process.stderr)
        assert process.poll() is None
        assert not (tmp_path / "genome.json").exists()
        process.stderr.read()
    assert process.returncode == 0
    assert genome(tmp_path)["evolved"] is True


# S0.31, S0.8: an organism that fails does not end the search
@pytest.mark.slow
def test_an_organism_that_fails_does_not_end_the_search(compiled, tmp_path) -> None:
    command = [sys.executable, "-c", FAILING, "evolve", "--generations", "2", "--workers", "1"]
    done = subprocess.run([*command, "--trace"], cwd=tmp_path, capture_output=True, text=True)
    assert (tmp_path / "failed").exists()
    assert done.returncode == 0, done.stderr
    assert "broken" in done.stdout + done.stderr
    assert genome(tmp_path)["evolved"] is True


# S0.9, S0.36, S1.25, S1.41, S1.42, S2.12, S2.15
@pytest.mark.slow
@pytest.mark.parametrize("objective", ["loss", "aesthetic", "hydra"])
def test_parallel_searches_find_the_same_genome(run, compiled, objective, tmp_path) -> None:
    found = []
    for workers in ("1", "2"):
        folder = tmp_path / workers
        folder.mkdir()
        args = ("evolve", "--objective", objective, "--generations", "1", "--workers", workers)
        run("microgpt", *args, cwd=folder)
        found.append(genome(folder))
    assert found[0] == found[1]


# S0.9, S0.20, S1.37, S2.12, S2.13, S2.14, S2.16
@pytest.mark.slow
def test_a_search_for_beauty_evolves_width_depth_heads_and_rate(run, compiled, tmp_path) -> None:
    run("microgpt", "evolve", "--objective", "aesthetic", cwd=tmp_path)
    written = genome(tmp_path)
    assert (written["n_ctx"], written["n_ff_exp"], written["steps"]) == (16, 4, 300)
    assert written["n_emb"] in (16, 24, 32, 40)
    assert written["n_head"] in (2, 4)
    assert written["n_layer"] in (1, 2, 3, 4)
    assert 0.0001 <= written["lr"] <= 0.1


@pytest.fixture(scope="module")
def hydra(run, compiled, tmp_path_factory) -> tuple[Path, str]:
    """A folder in which the Hydra has evolved, and its log."""
    folder = tmp_path_factory.mktemp("hydra")
    run("microgpt", "evolve", "--objective", "hydra", cwd=folder)
    return folder, log(folder)


# S1.1, S1.2, S1.3, S1.10, S1.33, S1.39
@pytest.mark.slow
def test_the_hydra_begins_with_the_documents_lines(hydra) -> None:
    _, text = hydra
    title, rule, *_ = text.splitlines()
    assert title == "Hydra Evolution (v3) — 3 Heads, 5 Cycles, Parallel Execution"
    assert rule == "━" * 58
    assert '"We think, therefore we are"' in text


# S1.4, S1.5, S1.14, S1.15, S1.26, S1.27, S1.28, S1.29, S1.30, S1.31, S2.14
@pytest.mark.slow
def test_three_champions_gather_in_each_of_five_cycles(hydra) -> None:
    _, text = hydra
    lines = [line for line in text.splitlines() if CHAMPION.match(line) or line == GATHERING]
    assert lines[3::4] == [GATHERING] * 5
    for i, (head, goal, highest) in enumerate(HEADS):
        champions = [CHAMPION.match(line) for line in lines[i::4]]
        assert [(found[1], found[7]) for found in champions] == [(head, goal)] * 5
        scores = [float(found[6]) for found in champions]
        assert scores[0] <= scores[-1] <= highest


# S1.8, S1.11, S1.12, S1.16, S1.17, D.8
@pytest.mark.slow
def test_the_hydras_genome_becomes_the_creature_and_a_model(run, hydra) -> None:
    folder, _ = hydra
    written = genome(folder)
    assert {*DNA} <= written.keys()
    assert written["evolved"] is True
    stdout = run("microgpt", "run", cwd=folder).stdout
    assert '"I have become"' in stdout
    assert shows(stdout, written["steps"])
    run("microgpt", "train", "--genome", "genome.json", "--output", "output", cwd=folder)
    meta = json.loads((folder / "output" / "meta.json").read_text(encoding="utf-8"))
    assert (meta["n_embd"], meta["n_layer"]) == (written["n_emb"], written["n_layer"])
    assert len(run("microgpt", "generate", cwd=folder).stdout.splitlines()) == 20


# S1.16: the winner may be the champion of one head
@pytest.mark.slow
def test_a_head_of_the_hydra_may_write_its_champion(run, compiled, tmp_path) -> None:
    args = ("evolve", "--objective", "hydra", "--head", "mirror", "--generations", "1")
    run("microgpt", *args, cwd=tmp_path)
    champions = {found[0]: found[1:5] for found in CHAMPION.findall(log(tmp_path))}
    written = genome(tmp_path)
    shape = [str(written[gene]) for gene in ("n_emb", "n_head", "n_layer")]
    assert [*champions["Mirror"]] == [*shape, f"{written['lr']:.4f}"]


def returns(stdout: str) -> list[tuple[float, float, list[float]]]:
    """Return the rows of "Return on investment": x, loss, and [its drop, the return].

    The half-widths of intervals, which follow a ±, are left out.
    """
    table = re.split("return on investment", stdout, flags=re.IGNORECASE)[1].split("\n\n")[0]
    table = re.sub(r"± *\d+\.\d+|,", "", table)
    rows = re.findall(r"^ *(\d+) +(\d\.\d+) +(.+)$", table, re.MULTILINE)
    numbers = [[float(n) for n in re.findall(r"-?\d+\.\d+", row[2])] for row in rows]
    return [(float(x), float(loss), each) for (x, loss, _), each in zip(rows, numbers, strict=True)]


def check_returns(rows: list[tuple[float, float, list[float]]]) -> None:
    """Check that each return is the drop of the loss per 1,000 units, from row to row."""
    for (x, loss, _), (next_x, next_loss, (drop, value)) in pairwise(rows):
        assert drop == pytest.approx(loss - next_loss, abs=2e-4)
        assert value == pytest.approx(1000 * drop / (next_x - x), abs=1e-4, rel=0.05)


# S0.15, S0.16, S2.20, S2.21, S2.23, S2.24, S2.26
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("fibonacci", [1_000, 2_000, 3_000, 5_000, 8_000, 13_000, 21_000]),
        ("tripling", [1_000, 3_000, 9_000]),
    ],
)
def test_more_steps_lower_the_loss(run, compiled, name, steps, tmp_path) -> None:
    run("microgpt", "sweep", "steps", "--set", name, cwd=tmp_path)
    stdout = run("microgpt", "analyze", cwd=tmp_path).stdout
    assert re.search(r"^loss \w+ steps", stdout, re.IGNORECASE | re.MULTILINE)
    assert re.search(r"return on investment.* 1,000 steps", stdout, re.IGNORECASE)
    rows = returns(stdout)
    assert [x for x, *_ in rows] == steps
    assert rows[-1][1] < rows[0][1] - 0.05
    check_returns(rows)


# S0.15, S0.16, S2.20, S2.22, S2.23, S2.25, S2.26
@pytest.mark.slow
@pytest.mark.long
def test_small_medium_and_large_models_are_compared(run, compiled, tmp_path) -> None:
    run("microgpt", "sweep", "params", cwd=tmp_path)
    stdout = run("microgpt", "analyze", cwd=tmp_path).stdout
    assert re.search(r"^loss \w+ parameters.*5,000", stdout, re.IGNORECASE | re.MULTILINE)
    for name, size in ("small", "4,192"), ("medium", "26,816"), ("large", "201,088"):
        assert re.search(rf"^{name} +{size} ", stdout, re.MULTILINE)
    assert re.search(r"return on investment.* 1,000 parameters", stdout, re.IGNORECASE)
    rows = returns(stdout)
    assert [x for x, *_ in rows] == [4_192, 26_816, 201_088]
    assert all(loss < 2.5 for _, loss, _ in rows)
    check_returns(rows)
