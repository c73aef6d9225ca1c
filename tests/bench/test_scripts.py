"""Every benchmark and study runs, in its shortest form, on a copy that may write its results."""

import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import commands
import pytest
import study

ROOT = Path(__file__).resolve().parents[2]
BRIEF_PRESETS = (  # and small ones
    "from dataclasses import replace; "
    "bench.PRESETS = {name: replace(preset, config=replace(preset.config, steps=8, batch_size=4, "
    "average_tail=0.0), model=replace(preset.model, n_embd=8, n_head=2, n_layer=1)) "
    "for name, preset in bench.PRESETS.items()}"
)
BRIEF_ADAMW = (
    "from dataclasses import replace; preset = bench.ADAMW_PRESET; "
    "config = replace(preset.config, steps=8, batch_size=4); "
    "model = replace(preset.model, n_embd=8, n_head=2, n_layer=1); "
    "bench.ADAMW_PRESET = replace(preset, config=config, model=model)"
)
BRIEF_TEACHERS = (
    "from dataclasses import replace; "
    "bench.TEACHER, bench.SINGLE = (replace(preset, config=replace(preset.config, steps=8, "
    "batch_size=4, average_tail=0.0), model=replace(preset.model, n_embd=8, n_head=2, n_layer=1)) "
    "for preset in (bench.TEACHER, bench.SINGLE)); bench.STUDENT = bench.TEACHER.config; "
    "bench.single = bench.teacher"
)
SMALL_SEARCH = ("--population", "4", "--generations", "2")
# The options of each script, and what else is made smaller; the rivals that are not in the
# workspace, PyTorch and JAX, stay away.
SHORTEST = {
    "ablation": ("--seeds 1", BRIEF_ADAMW),
    "architecture": (
        "--seeds 1",
        "from dataclasses import replace; bench.NEUTRAL = {'Muon': {'optimizer': 'adamw'}}; "
        "bench.DATA = {'names': (bench.DATA['names'][0], replace(bench.SMALL, n_embd=8), "
        "replace(bench.WORDS, steps=8, batch_size=4))}",
    ),
    "back_again": ("--steps 2", "bench.N_STEPS, bench.N_COMPARED, bench.N_HELD_OUT = 1, 1, 8"),
    "batching": ("--rounds 1", "bench.DOCS = bench.DOCS[:512]; bench.STEPS = 8"),
    "beyond_context": ("", BRIEF_PRESETS),
    "chat_quality": (
        "--seeds 1",
        "bench.SPLITS = dict(heldout=200, wordings=20); run = bench.command; bench.command = "
        "lambda *a: run(*a, *(['--input', bench.ROOT / 'data/chat.jsonl', '--steps', 2, "
        "'--n-embd', 8, '--n-head', 2, '--n-layer', 1] if a[0] == 'train' else []))",
    ),
    "compare": ("--steps 5 --controls 2", ""),
    "conditions_speed": (
        "--rounds 1",
        "bench.N_NAMES, bench.N_LONG, bench.STEPS, bench.LONG_STEPS = 300, 5, 8, 2",
    ),
    "cluster_driver": ("--most 1", "bench.N_TASKS = 20"),
    "decode_speed": (
        "--rounds 1",
        "bench.RIVALS = ('numpy',); bench.N_NAMES = 1000; "
        "bench.DECODING = [(*bench.DECODING[0][:4], 10)]",
    ),
    "elsewhere": ("--rounds 1", "bench.N_HELD_OUT = 4; bench.STEPS = 50"),
    "evolution_fitness": (
        "--searches 1",
        f"bench.SEARCH += {SMALL_SEARCH}; bench.FRESH_SEEDS = bench.FRESH_SEEDS[:2]",
    ),
    "few_questions": ("--only library", ""),
    "html_file": ("--rounds 1", "bench.N_SAMPLES = 50"),
    "evolution_speed": (
        "--rounds 1",
        "bench.SEEDS = bench.SEEDS[:1]; bench.AT, bench.STEPS = (20, 40), 5; "
        "bench.beauty = lambda rounds: {}; bench.BUDGET = '2e10'; "
        f"bench.N_TASKS = 100; bench.OPTIONS = {SMALL_SEARCH}",
    ),
    "distillation": ("--seeds 1", f"bench.N_SAMPLES = 10; {BRIEF_TEACHERS}"),
    "ensembles": (
        "--only names --seeds 1",
        "bench.TEXTS = ('names',); bench.EVERY = {'names': 100}; bench.BUDGET = 3e10; "
        "bench.FITTED = ()",
    ),
    "experience": (
        "--stage 0",
        "bench.RESULTS.unlink(); bench.STAGES = (bench.Stage(5, 1, texts=('names',)),); "
        "bench.SECOND = 2e8; bench.MIN_STEPS = 1",
    ),
    "fine_tuning": (
        "--seeds 1",
        "bench.PAIRS = {'names, with z': bench.PAIRS['names, with z']}; "
        "bench.BUDGET = 2e10; bench.BUDGETS = {'4e12': 2e10}",
    ),
    "fit_choice": ("", ""),
    "score_speed": ("--rounds 1", "bench.N = 100"),
    "secret_detection": (
        "--seeds 1",
        "bench.BUDGET, bench.N = 1e8, 20; bench.rival = lambda script, train, texts: "
        "bench.np.arange(len(texts)) % 2; "
        "bench.identifiers_in = lambda folder: ['parse_args', 'get_name', folder.name + '_names']",
    ),
    "hydra_exchange": (
        "--searches 1",
        "bench.CYCLES = 1; bench.FRESH_SEEDS = bench.FRESH_SEEDS[:1]",
    ),
    "kneser_ney": ("", "bench.ORDERS = range(2, 4)"),
    "minutes": ("--only rule --seeds 1", "bench.BUDGETS = (('names', 60),); bench.SECOND = 2e7"),
    "mutation": ("--n 0", ""),
    "model_changes": ("--seeds 1 --steps 2", ""),
    "operations": ("", "bench.N_MODELS = 3"),
    "page_training": ("--rounds 1", ""),
    "peak": ("", "bench.ROUNDS = 1"),
    "portable_student": ("--only names --seeds 1", "bench.BUDGET = 3e9"),
    "pytorch": (
        "--seeds 1",
        BRIEF_ADAMW + "; from quality import measured; "
        "bench.measured_in_torch = lambda *settings, python: measured(*settings)",
    ),
    "quality": ("--only names-10s --seeds 1", BRIEF_PRESETS),
    "reference_speed": ("--steps 2 --rounds 1", "bench.MEMORY_DOCS = 2"),
    "replicas": (
        "--only names --seeds 1",
        "from dataclasses import replace; "
        "bench.TEXTS = {'names': replace(text, model=replace(text.model, n_embd=8, n_head=2, "
        "n_layer=1), config=replace(text.config, steps=40, batch_size=2, warmup_steps=0)) "
        "for text in [bench.TEXTS['names']]}",
    ),
    "report": ("", ""),
    "search_fight": (
        "--searches 2",
        "bench.RIVALS = {}; losses = [[2 + i % 97 / 97] * 9 for i in range(1023)] + [[]]; "
        "bench.read_table = lambda: bench.Table({'names': {'1': losses, '2': losses}})",
    ),
    "search_real": (
        "--seeds 1",
        "bench.RIVALS = dict.fromkeys(('train', 'evolve'), 'x'); bench.BUDGET = 2e10; "
        "bench.TEXTS = {'names': 'names-60s'}",
    ),
    "search_table": (
        "",
        "bench.TABLE = bench.TABLE.with_name('empty.json.xz');"
        " bench.GENES = bench.GENES[:1]; bench.SEEDS = (1,); bench.OPERATIONS = 1e8",
    ),
    "sentence_encoder": (
        "",
        "bench.SETS = {'library': bench.SETS['library']}; "
        "bench.encoder = lambda folder: lambda text: bench.np.array([*map(text.count, 'aehiot')])",
    ),
    "serve_batching": ("--rounds 1", "bench.N_REPLIES = 32"),
    "serve_hostile": ("--seconds 0.5 --attackers 2 --rate 10", ""),
    "serve_load": ("--rounds 1 --seconds 1 --connections 2", ""),
    "serve_mixed": ("--minutes 0.1 --connections 2", "bench.PROCESSES = 2"),
    "serve_several": ("--models 2 --rounds 1 --seconds 0.5 --connections 2", ""),
    "serve_streams": ("--rounds 1 --seconds 0.5 --streams 2", ""),
    "small_texts": (
        "--only names --seeds 1",
        "bench.TEXTS = ('names',); bench.SIZES = (50,); bench.BUDGET = 3e8",
    ),
    "shakespeare": ("--only text-60s --seeds 1", BRIEF_PRESETS),
    "startup": (
        "--rounds 1",
        "bench.FIRST_ROUNDS = 1; bench.COMMANDS = "
        "{name: bench.COMMANDS[name] for name in (bench.BASELINE, bench.FIRST, bench.SERVE)}",
    ),
    "text_quality": (
        "--seeds 1",
        "from dataclasses import replace; load = bench.load_conversations; "
        "bench.MODEL = replace(bench.MODEL, n_embd=8, n_head=2, n_layer=1); "
        "bench.CONFIG = replace(bench.CONFIG, steps=8, batch_size=4); "
        "bench.load_conversations = lambda path, **options: load(path, **options)[:200]",
    ),
    "texts": (
        "--directory texts",
        "bench.TEXTS = {name: bench.TEXTS[name] for name in ('names', 'arithmetic')}",
    ),
    "threads": (
        "--rounds 1",
        "bench.ROUND_S = 0.01; bench.LOTS.popitem(); bench.N_ORGANISMS = 1; "
        "bench.TRAININGS = bench.TRAININGS[:1]; "
        "bench.CHAT = bench.ModelConfig(block_size=256)",
    ),
    "train_scaling": (
        "--rounds 1",
        "bench.ROUND_S = 0.01; bench.SIZES = {name: s[:1] for name, s in bench.SIZES.items()}",
    ),
    "train_speed": ("--rounds 1", "bench.RIVALS = ('numpy',); bench.SETTINGS = bench.SETTINGS[:1]"),
    "what_if": ("--seeds 2", "bench.TRAIN = ('train', '--steps', '200', '-n', '0')"),
}
# The commands of a script run in its process: a new Python would take most of the time.
IN_PROCESS = f"""
import subprocess, sys, threading
sys.path[:0] = ["bench", {str(ROOT / "tests")!r}]
import commands
start = subprocess.run
def run(command, *, check=False, cwd=".", **options):
    is_main = threading.current_thread() is threading.main_thread()
    if command[1:3] != ["-m", "microgpt_cli"] or not is_main:
        return start(command, check=check, cwd=cwd, **options)
    return commands.run(*command[3:], cwd=cwd, check=check)
subprocess.run = run
"""
PARTS = {"contenders", "harness", "machine", "mutants", "pictures", "service", "study", "tables"}
PARTS |= {"search_methods", "stages"}  # of studies
PARTS |= {"fuzz", "fuzz_parsers"}  # see test_fuzz.py
SCRIPTS = {path.stem: path for path in (ROOT / "bench").rglob("*.py") if "rivals" not in str(path)}
DOCS = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "libs").rglob("*.py")]
REMOVED = ROOT / "docs/removed.md"  # it names scripts that are gone
PAGES = sorted(
    page.relative_to(ROOT) for page in {*DOCS} - {REMOVED} if "bench/" in page.read_text("utf-8")
)
CITED = re.compile(r"bench/(study\.py \w+|[\w/]+\.\w+)")


def test_every_benchmark_script_is_tested() -> None:
    assert SCRIPTS.keys() == SHORTEST.keys() | PARTS


def test_every_study_has_a_question_a_result_and_a_command() -> None:
    in_studies = {name for name, path in SCRIPTS.items() if path.parent.name == "studies"}
    described = {each.name: each for each in study.descriptions()}
    assert described.keys() == in_studies - PARTS
    for name, each in described.items():
        assert re.search(rf"python bench/study\.py {name}\b", each.command)
        pages = re.findall(r"docs/\S+\.md", each.result)
        assert len(pages) == 1, name
        assert (ROOT / pages[0]).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_benchmark_script_cited_in_the_docs_exists(page: Path) -> None:
    for cited in CITED.findall((ROOT / page).read_text(encoding="utf-8")):
        path = re.sub(r"study\.py (\w+)", r"studies/\1.py", cited)
        assert (ROOT / "bench" / path).exists(), cited


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORTEST)
def test_every_benchmark_script_runs(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if name == "serve_load" and not shutil.which("wrk"):
        pytest.skip("wrk is not installed")
    if name == "page_training" and not shutil.which("node"):
        pytest.skip("Node is not installed")
    if name == "back_again" and not find_spec("accelerate"):
        pytest.skip("transformers is not installed")
    if name.startswith("evolution"):  # its searches would draw their reports
        request.getfixturevalue("undrawn")
    for folder in ("bench", "docs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "data").symlink_to(ROOT / "data")
    options, patch = SHORTEST[name]
    path = SCRIPTS[name].relative_to(ROOT / "bench").with_suffix("")
    is_study = len(path.parts) > 1
    main = "import study; study.run(bench)" if is_study else "bench.main()"
    script = f"{IN_PROCESS}\nimport {'.'.join(path.parts)} as bench"
    command = [sys.executable, "-c", f"{script}; {patch}\n{main}", *options.split()]
    done = commands.run_process(command, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
