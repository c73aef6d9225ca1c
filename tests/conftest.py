"""Fixtures for all tests: small models, the command, and browsers."""

import gc
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import commands
import firefox
import pytest
from filelock import FileLock
from hypothesis import settings
from packages import write_package
from pages import Open
from terminal import Terminal

import microgpt as library  # imports its modules lazily, so collecting tests is fast

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from microgpt import TrainResult

settings.register_profile("microgpt", max_examples=50, deadline=None, derandomize=True)
settings.load_profile("microgpt")

ROOT = Path(__file__).resolve().parents[1]
ALL_SLOW = re.compile(r"^pytestmark = \[?\s*pytest\.mark\.slow\b", re.MULTILINE)
HAS_ENGINE = find_spec("microgpt_engine") is not None
NEEDS_ENGINE = re.compile(r"^from (?:microgpt_engine|small_engines|explained_by_ref)", re.MULTILINE)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# Commands run in the environment of a user, not in that of the tests. Bytecode is enabled even if
# a container disables it; otherwise, a thousand commands would start three times as slowly.
os.environ["PATH"] = f"{commands.COMMAND.parent}{os.pathsep}{os.environ['PATH']}"
NOT_A_USERS = "PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED PYTHONIOENCODING COLUMNS NO_COLOR TERM"
NOT_A_USERS += " UV_RUN_RECURSION_DEPTH"  # set by `uv run`; it changes suggested commands
for name in NOT_A_USERS.split():
    os.environ.pop(name, None)
os.environ["TERM"] = "xterm"
sys.dont_write_bytecode = False  # otherwise, pytest would rewrite all assertions at each start

# A shell makes background processes ignore Ctrl-C. Undo this, or commands would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # undo nohup, which makes processes ignore SIGHUP

gc.set_threshold(100_000)  # the default, 700, takes a tenth of the time of the reference engine

Run = Callable[..., subprocess.CompletedProcess[str]]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Use worker processes only to test whole folders, because starting workers takes a second.

    Slow tests wait for processes and pages, so more workers than processors run them.
    """
    if not all(Path(arg).is_dir() for arg in config.args):
        return 0
    return (os.cpu_count() or 1) + 2 if config.option.markexpr == "slow" else None


def pytest_configure(config: pytest.Config) -> None:
    """If the compiled engine is not installed, ignore warnings about training without it."""
    if not HAS_ENGINE:
        config.addinivalue_line("filterwarnings", "ignore::microgpt.plugins.EngineWarning")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip files that need a missing engine and, in quick runs, files with only slow tests."""
    if collection_path.suffix != ".py":
        return None
    text = collection_path.read_text(encoding="utf-8")
    is_slow = config.option.markexpr == "not slow" and ALL_SLOW.search(text)
    return True if is_slow or (not HAS_ENGINE and NEEDS_ENGINE.search(text)) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run long tests first, so that no processor idles; skip tests that need a missing engine."""
    # Long files come before long tests: one worker then runs a file, and sets its fixture up once.
    items.sort(key=lambda one: sum(not n.get_closest_marker("long") for n in (one, one.parent)))
    for item in items if not HAS_ENGINE else ():
        if "compiled" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs microgpt-engine"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Skip a test that requires the compiled engine if the engine is not installed."""
    try:
        return (yield)
    except library.ConfigError as error:
        if HAS_ENGINE or "engine" not in str(error):
            raise
        pytest.skip(f"needs microgpt-engine: {error}")


def pytest_collection_finish() -> None:
    """Exclude modules and tests from garbage collection, which would scan them repeatedly."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def compiled_engine(worker_id: str) -> None:
    """Compile the engine before the first test, so that no test waits for it or prints a note."""
    from microgpt.config import DType, Use
    from microgpt.training.engines import prepare_engine, problem_of

    if problem_of("compiled"):  # tests of the engine report the problem
        return
    from microgpt_engine import preparation
    from microgpt_engine.kernel_cache import cache_directory

    in_processes = preparation.compile_together

    def compile_together(dtypes, shares, **options):
        """Start one process per dtype, which compiles functions that kernels share only once."""
        return in_processes(dtypes, [sum(reversed(shares), ())], **options)

    preparation.compile_together = compile_together
    cache_directory().mkdir(0o700, parents=True, exist_ok=True)
    with FileLock(cache_directory() / "tests.lock"):  # another worker might be compiling
        prepare_engine("compiled", *get_args(DType), uses=get_args(Use))


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    """The output of Karpathy's own script (see data/README.md)."""
    return json.loads((ROOT / "data/karpathy_seed42.json").read_text())


@pytest.fixture(scope="session")
def text_result() -> "TrainResult":
    """A small model that was trained on four names."""
    config = library.TrainConfig(steps=30)
    return library.train(["anna", "emma", "ava", "mia"], model=library.ModelConfig(), config=config)


@pytest.fixture(scope="session")
def chat_result() -> "TrainResult":
    """A small model that always answers "hi" with "yo"."""
    conversation = (library.Message("user", "hi"), library.Message("assistant", "yo"))
    config = library.TrainConfig(steps=80, lr=0.02)
    return library.train([conversation], model=library.ModelConfig(block_size=32), config=config)


@pytest.fixture(scope="session")
def names_result() -> "TrainResult":
    """A model that generates a different text for each seed."""
    docs = ["anna", "emma", "ava", "mia", "olivia", "sofia", "liam", "noah"]
    return library.train(docs, config=library.TrainConfig(steps=60))


@pytest.fixture(scope="session")
def slow_result() -> "TrainResult":
    """A model that takes seconds to generate a long text, and never ends a text by itself."""
    pytest.importorskip("microgpt_engine")  # without the engine, using the model takes minutes
    shape = library.ModelConfig(n_embd=256, n_layer=6, block_size=2048, init_std=0.02)
    return library.train(["ab" * 40], model=shape, config=library.TrainConfig(steps=1, lr=0.01))


@pytest.fixture(scope="session")
def talk_result() -> "TrainResult":
    """A chat model that was trained for a few steps."""
    talk = (library.Message("user", "hi there"), library.Message("assistant", "yo man"))
    result = library.train(
        [talk], model=library.ModelConfig(block_size=48), config=library.TrainConfig(steps=20)
    )
    return replace(result, plan=replace(result.plan, examples=("hi there",)))


@pytest.fixture(scope="session")
def subword_result() -> "TrainResult":
    """A chat model with subword tokens that was trained for a few steps."""
    talk = (library.Message("user", "hi there"), library.Message("assistant", "漢字, there"))
    tokenizer = library.BpeTokenizer.from_documents([talk], vocab_size=270)
    config, model = library.TrainConfig(steps=60, lr=0.02), library.ModelConfig(block_size=48)
    return library.train([talk], model=model, tokenizer=tokenizer, config=config)


def _directory_of(name: str) -> Any:
    """Return the fixture `{name}_dir`: the directory of the saved model of `{name}_result`."""

    @pytest.fixture(scope="session", name=f"{name}_dir")
    def directory(request, tmp_path_factory) -> Path:
        path = tmp_path_factory.mktemp("models") / name
        kind = "safetensors" if name == "slow" else "json"
        library.save(request.getfixturevalue(f"{name}_result"), path, weights_format=kind)
        return path

    return directory


names_dir, slow_dir, subword_dir, talk_dir = map(
    _directory_of, ["names", "slow", "subword", "talk"]
)


def _loaded(name: str) -> Any:
    """Return the fixture `name`: an `InferenceGpt` with the model of the result of that name."""

    @pytest.fixture(scope="session", name=name)
    def gpt(request):
        return library.InferenceGpt(request.getfixturevalue(f"{name.removesuffix('_gpt')}_result"))

    return gpt


text, chat, names_gpt, talk_gpt, subword_gpt = map(
    _loaded, ["text", "chat", "names_gpt", "talk_gpt", "subword_gpt"]
)


@pytest.fixture
def text_model(text_result: "TrainResult", tmp_path: Path) -> Path:
    """The directory of a text model."""
    library.save(text_result, tmp_path / "text-model")
    return tmp_path / "text-model"


@pytest.fixture
def chat_model(chat_result: "TrainResult", tmp_path: Path) -> Path:
    """The directory of a chat model."""
    library.save(chat_result, tmp_path / "chat-model")
    return tmp_path / "chat-model"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Install a package: `install("shout", "commands", "shout = loud:shout", loud="…")`.

    The arguments are the package's name, a plug-in group, an entry point, and the code of modules.
    """
    from microgpt import plugins

    site = tmp_path / "site-packages"

    def put(*package: str, **modules: str) -> None:
        write_package(site, *package, **modules)
        for name in modules:
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(str(site))
        plugins._installed.cache_clear()  # the cached list lacks the new package

    yield put
    plugins._installed.cache_clear()


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the packages that provide an engine."""
    from microgpt import plugins

    installed = {**plugins._installed(), "engines": []}
    monkeypatch.setattr(plugins, "_installed", lambda: installed)


@pytest.fixture
def microgpt(tmp_path: Path) -> Run:
    """A function that runs the command in an empty directory.

    The command runs in this process or, with `cold`, in a new Python process.
    """

    def run(*args: str | Path, stdin: str = "", cold: bool = False, **env: str):
        if not (cold or env.keys() & {"PYTHONPATH", "PYTHONIOENCODING"}):
            return commands.run(*args, cwd=tmp_path, env=env, stdin=stdin)
        env = {**os.environ, **env}
        return commands.run_process([commands.COMMAND, *args], cwd=tmp_path, env=env, stdin=stdin)

    return run


@pytest.fixture
def terminal(tmp_path):
    """A function that runs the command on a separate pseudo-terminal."""
    running = []

    def start(*args: object, size: tuple[int, int] = (24, 80), stdout=None, **env: str) -> Terminal:
        options = {"stdout": stdout} if stdout else {}
        child = Terminal(
            "microgpt", *args, size=size, cwd=tmp_path, env={**os.environ, **env}, **options
        )
        running.append(child)
        return child

    yield start
    for child in running:
        child.close()


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """A Chromium browser; if none is installed, tests are skipped, or fail in CI."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs Chromium or Chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """The console messages and errors of a page, and its requests to other hosts."""
    return []


@pytest.fixture
def page(browser: "Browser", complaints: list[str]) -> "Iterator[Page]":
    """An empty page; the test fails if the page has any `complaints`."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(300_000)  # the first page can include compiling the engine
    here = ("file:", "blob:null/", "http://127.0.0.1:", "blob:http://127.0.0.1:")
    page.on("console", lambda message: complaints.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("request", lambda one: one.url.startswith(here) or complaints.append(one.url))
    yield page
    context.close()
    assert complaints == []


def uri(address: Path | str) -> str:
    return address if isinstance(address, str) else address.as_uri()


@pytest.fixture
def chromium(page: "Page") -> Open:
    def opened(address: Path | str, view: str = "") -> Callable[..., Any]:
        page.goto(f"{uri(address)}{view}")
        return lambda script, *args: page.evaluate(f"async (args) => {{{script}}}", args)

    return opened


@pytest.fixture(scope="module")
def started_firefox(tmp_path_factory) -> Iterator[firefox.Firefox]:
    path = shutil.which("firefox") or shutil.which("firefox-esr")
    if path is None:
        pytest.skip("needs Firefox")
    with firefox.started(path, tmp_path_factory.mktemp("firefox") / "profile") as browser:
        yield browser


@pytest.fixture(name="firefox")
def in_firefox(started_firefox: firefox.Firefox) -> Open:
    def opened(address: Path | str, view: str = "") -> Callable[..., Any]:
        started_firefox.open("about:blank")
        started_firefox.open(f"{uri(address)}{view}")
        return started_firefox.run

    return opened


@pytest.fixture(params=["chromium", "firefox"])
def opened(request: pytest.FixtureRequest) -> Open:
    """A function that opens a file or URL; tests run once with each of the two browsers."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def undrawn(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevent searches and sweeps from writing a report, as if the plotting packages were missing.

    Drawing takes as long as the rest of a small search; test_report.py tests it.
    """
    stubs = tmp_path_factory.mktemp("stubs")
    (stubs / "vl_convert.py").write_text("raise ModuleNotFoundError(__name__)\n")
    monkeypatch.setenv("PYTHONPATH", str(stubs))
    monkeypatch.setitem(sys.modules, "vl_convert", None)


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with copies of the reference engine's sources, used instead of the originals."""
    from microgpt import edited_sources

    folder = tmp_path / "sources"
    folder.mkdir()
    for name in edited_sources.IMPLEMENTED:
        shutil.copy(edited_sources.FOLDER / name, folder)
    monkeypatch.setattr(edited_sources, "FOLDER", folder)
    edited_sources.find_edited_sources.cache_clear()
    yield folder
    edited_sources.find_edited_sources.cache_clear()


@pytest.fixture
def edited(sources: Path) -> None:
    """Remove the residual connections from the copy of model.py in `sources`."""
    code = (sources / "model.py").read_text(encoding="utf-8")
    (sources / "model.py").write_text(code.replace("return add(x, self.mlp", "return (self.mlp"))
