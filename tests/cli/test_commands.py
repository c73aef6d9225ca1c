import re
import shlex
import shutil
import sys

import pytest
from commands import every_command, ok, refused

from microgpt import plugins

CHAT_LINE = '[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]'


def test_train_reports_documents_longer_than_the_context(microgpt, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("anna\nabcdefg\nabcdefgh\n")  # abcdefgh has 9 predictions
    done = microgpt("train", "--input", "names.txt", "--steps", "1", "--block-size", "8")
    assert "1 of 3 documents are longer than the block size of 8, and are split" in done.stderr
    done = microgpt("train", "--input", "names.txt", "--steps", "1", "--block-size", "9", "--force")
    assert "longer than the block size" not in done.stderr


def test_train_and_info_report_unanswered_messages(microgpt, tmp_path) -> None:
    alone = '[{"role": "user", "content": "oh"}]'
    (tmp_path / "chat.jsonl").write_text(f"{CHAT_LINE}\n{alone}\n")
    told = "note: left out 1 exchange without question or answer; the first is in line 2\n"
    trained = microgpt("train", "--chat", "--input", "chat.jsonl", "--steps", "1")
    assert trained.stdout.startswith("num convos: 1\nvocab size: 8\n")  # "oh" is left out
    assert trained.stderr.count(told) == 1
    described = microgpt("info", "--data", "chat.jsonl")
    assert "documents:          1;" in described.stdout
    assert described.stderr.count(told) == 1


def test_chat_training_uses_bundled_conversations_by_default(microgpt) -> None:
    done = microgpt("train", "--chat", "--steps", "1")
    assert "using the bundled chat.jsonl" in done.stderr
    assert done.stdout.startswith("num convos: 4000\n")


def test_the_command_without_arguments_prints_its_help(microgpt) -> None:
    assert microgpt().stdout == ok(microgpt("--help")).stdout


def test_the_version_option_prints_the_version(microgpt) -> None:
    assert microgpt("--version").stdout == "microgpt 0.1.0\n"


def test_help_does_not_import_numpy_or_other_slow_modules(microgpt) -> None:
    done = microgpt("--help", cold=True, PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert not any(name.startswith("microgpt_evolution") for name in imported)
    heavy = {"pydantic", "rich.console", "numpy", "microgpt.model", "microgpt.training.train"}
    heavy |= {"altair", "vl_convert"}
    assert not imported & heavy


@pytest.mark.compiled
def test_characters_that_stdout_cannot_encode_are_escaped(microgpt, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("ωω\nωω\n")
    microgpt("train", "--input", "names.txt", "--steps", "60", "--lr", "0.05")
    done = ok(microgpt("generate", "--num-samples", "1", PYTHONIOENCODING="latin-1"))
    assert "\\u03c9" in done.stdout


def test_a_model_can_be_given_as_an_argument_or_an_option(microgpt, text_model, tmp_path) -> None:
    shutil.copytree(text_model, tmp_path / "output")
    (tmp_path / "lines.txt").write_text("anna\n")
    data = ("--data", "lines.txt")
    commands = [("explain", "anna"), ("generate", "an", "-n", "3"), ("score", *data)]
    for name, *rest in [*commands, ("eval", *data), ("info",), ("export", "--output", "copy")]:
        expected = ok(microgpt(name, *rest)).stdout  # by default, the model in output/ is used
        assert ok(microgpt(name, text_model, *rest)).stdout == expected, name
        assert ok(microgpt(name, *rest, "--model", text_model)).stdout == expected, name


def test_only_an_argument_that_names_a_model_selects_it(microgpt, text_model, chat_model) -> None:
    for command, model in (("generate", text_model), ("chat", chat_model)):
        done = microgpt(command, model.name, stdin="hi\n")
        near = microgpt(command, f"{model.name}s", stdin="").stderr
        assert f"no such model; did you mean {model.name}?" in near
        assert done.stdout == microgpt(command, "--model", model, stdin="hi\n").stdout
        text = microgpt(command, model.name, "--model", model)
        assert "cannot be combined" not in text.stderr
        assert (text.stdout, text.stderr) != (done.stdout, done.stderr)


def test_train_can_read_its_data_from_standard_input(microgpt) -> None:
    train = ("train", "--data", "-", "--steps=1", "--n-embd=4")
    done = ok(microgpt(*train, stdin="anna\nemma\nmia\n", cold=True))
    assert done.stdout.startswith("num docs: 3\n")


START = ["train", "generate", "chat", "play", "info", "course", "evolve", "serve"]


def test_help_lists_first_the_main_commands_and_then_those_of_each_package(microgpt) -> None:
    wide = microgpt("--help", COLUMNS="80").stdout
    sections = re.findall(r"^(\S+):\n((?:  .+\n)+)", wide, re.M)
    first, *packages, last = (title for title, _ in sections)
    assert (first, packages, last) == ("Start", sorted(packages), "Options")
    assert "microgpt-cli" in packages
    installed = {name.split()[1] for name, _ in every_command()}
    named = [re.findall(r"^  (\w+) ", lines, re.M) for _, lines in sections[:-1]]
    assert named[0] == [name for name in START if name in installed]
    assert {name for each in named for name in each} == installed


def test_each_help_text_fits_into_40_lines_of_80_characters(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name, command in every_command():
        context = command.make_context(name, [], resilient_parsing=True)
        lines = context.get_help().splitlines()
        assert max(map(len, lines)) <= 80, name
        assert len(lines) <= 40, name


def test_each_command_accepts_the_examples_in_its_help(microgpt) -> None:
    known = dict(every_command())
    for name in known:
        _, examples = microgpt(*name.split()[1:], "--help").stdout.split("\n  Examples:\n")
        for words in map(shlex.split, re.findall(r"microgpt [^&\n]+", examples)):
            called = " ".join(words[: 3 if " ".join(words[:3]) in known else 2])
            known[called].make_context(called, words[len(called.split()) :])


def test_the_help_of_train_is_short_and_help_all_is_complete(microgpt) -> None:
    short, whole = (microgpt("train", flag).stdout for flag in ("--help", "--help-all"))
    names = re.findall(r"^  (--[\w-]+)", short, re.M)
    assert {"--data", "--model", "--minutes", "--steps", "--val-fraction"} <= {*names}
    assert len(names) <= 17
    assert "[default: 1000]" in short
    assert len(re.findall(r"^    microgpt train", short, re.M)) == 3
    train = dict(every_command())["microgpt train"]
    for param in train.params:
        assert param.opts[0] in whole, param.name
    assert "\nModel:\n" in whole


SHOUT = '''"""`microgpt shout`: print a word in capitals."""

def shout(word: str) -> None:
    """Print a word in capitals."""
    print(word.upper())
'''


def test_a_command_from_a_plugin_is_listed_and_can_be_run(microgpt, install) -> None:
    install("loud", "commands", "shout = loud:shout", loud=SHOUT)
    listed = ok(microgpt("--help")).stdout
    assert re.search(r"\nloud:\n  shout +Print a word in capitals\.\n", listed)
    assert "loud" not in sys.modules
    assert ok(microgpt("shout", "anna")).stdout == "ANNA\n"
    assert "Print a word in capitals." in ok(microgpt("shout", "--help")).stdout
    assert "missing argument" in refused(microgpt("shout"))


def test_a_broken_plugin_command_is_refused_and_others_still_run(microgpt, install) -> None:
    install("loud", "commands", "shout = loud:shout", loud="import nosuchmodule")
    error = refused(microgpt("shout", "anna"))
    assert error.startswith("loud cannot be imported (ModuleNotFoundError: No module named")
    assert "uninstall this package" in error
    assert "\nloud:\n  shout " in ok(microgpt("--help")).stdout
    ok(microgpt("list"))


def test_a_command_that_two_packages_add_is_refused_with_both_names(microgpt, install) -> None:
    install("loud", "commands", "train = loud:shout", loud=SHOUT)
    assert "loud and microgpt-cli both add train" in refused(microgpt("train"))
    ok(microgpt("--help"))
    ok(microgpt("list"))


@pytest.mark.parametrize("command", ["evolve", "serve"])
def test_the_error_for_a_missing_command_names_its_package(microgpt, install, command) -> None:
    package = {"evolve": "microgpt-evolution", "serve": "microgpt-serve"}[command]
    install(package, "commands", "")  # hides the real package; this one has no plug-ins
    assert f"\n  {command} " not in ok(microgpt("--help")).stdout
    error = refused(microgpt(command))
    assert f"the command {command} is in {package}, which is not installed" in error
    assert "install this package" in error


def test_shell_completion_lists_commands_and_options(microgpt) -> None:
    def completed(line: str) -> list[str]:
        word = str(line.count(" "))
        variables = {"COMP_WORDS": line, "COMP_CWORD": word, "_MICROGPT_COMPLETE": "complete_bash"}
        return microgpt(**variables).stdout.split()

    assert set(completed("microgpt exp")) == {"explain", "export"}
    assert completed("microgpt --hel") == ["--help"]
    assert completed("microgpt train --n-em") == ["--n-embd"]


CSV = '''"""Tables."""
from microgpt import ExportFormat, Verification

def encode(saved, request):
    rows = (",".join(map(str, row)) for row in saved.weights["wte"])
    return {request.output: "\\n".join(rows).encode()}

def verify(path):
    if path.suffix == ".csv":
        return Verification(("a table",), passed="," in path.read_text())

csv = ExportFormat(encode, verify=verify)
'''


@pytest.fixture
def csv(install) -> None:
    install("tables", "exports", "csv = tables:csv", tables=CSV)


@pytest.mark.usefixtures("csv")
def test_export_and_verify_accept_a_format_from_a_plugin(microgpt, text_model, tmp_path) -> None:
    done = ok(microgpt("export", text_model, "--format", "csv", "--output", "mine.csv"))
    assert done.stdout == f"mine.csv: {(tmp_path / 'mine.csv').stat().st_size:,} bytes\n"
    assert ok(microgpt("verify", "mine.csv")).stdout == "a table\n"
    (tmp_path / "mine.csv").write_text("")
    done = microgpt("verify", "mine.csv")
    assert (done.returncode, done.stdout) == (1, "a table\n")


@pytest.mark.parametrize(
    "module",
    ["import nosuchmodule", "csv = 1", CSV.replace("wte", "none"), CSV.replace(".encode()", "")],
)
def test_only_exports_to_a_broken_format_fail_naming_its_package(
    microgpt, install, module, text_model
) -> None:
    install("broken-tables", "exports", "csv = tables:csv", tables=module)
    problem = refused(microgpt("export", text_model, "--format", "csv", "--output", "mine.csv"))
    assert problem.startswith("broken-tables ")
    ok(microgpt("export", text_model, "--output", "names-1.5"))


def test_verify_reports_a_broken_format_if_no_other_fits(microgpt, install, csv, tmp_path) -> None:
    install("broken", "exports", "abc = nosuchmodule:abc")
    (tmp_path / "mine.csv").write_text("1,2")
    assert ok(microgpt("verify", "mine.csv")).stdout == "a table\n"
    (tmp_path / "mine.txt").write_text("1,2")
    assert refused(microgpt("verify", "mine.txt")).startswith("broken cannot be imported")


def test_export_and_verify_refuse_unusable_formats(microgpt, monkeypatch, tmp_path) -> None:
    installed = {**plugins._installed(), "exports": []}
    monkeypatch.setattr(plugins, "_installed", lambda: installed)
    (tmp_path / "mine.onnx").touch()
    for format, package in (("html", "microgpt-page"), ("gguf", "microgpt-exports")):
        problem = refused(microgpt("export", "--format", format, "--output", "new"))
        assert problem == f"--format {format} requires the package {package}; install it"
    assert "microgpt-exports; install" in refused(microgpt("verify", "mine.onnx"))
    problem = refused(microgpt("export", "--format", "docx", "--output", "new"))
    assert problem == "--format must be one of json, safetensors, float16, got docx"
    assert "--format onnx requires" in refused(microgpt("export", "--output", "new.onnx"))
    problem = refused(microgpt("export", "--output", "new.onnx", "--format", "json"))
    assert "use --format onnx" in problem


@pytest.mark.usefixtures("csv")
def test_the_suffix_of_the_output_selects_the_export_format(microgpt, text_model, tmp_path) -> None:
    ok(microgpt("export", text_model, "-o", "mine.csv"))
    ok(microgpt("export", text_model, "-o", "same", "--format", "csv"))
    assert (tmp_path / "mine.csv").read_bytes() == (tmp_path / "same").read_bytes()
    assert "suffix .docx; choose" in refused(microgpt("export", text_model, "-o", "a.docx"))
