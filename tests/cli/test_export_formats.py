import pytest
from commands import ok, refused

from microgpt import plugins

CSV = '''"""Tables."""
from microgpt.exports import ExportFormat, Verification

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
def test_another_package_adds_a_format(microgpt, text_model, tmp_path) -> None:
    done = ok(microgpt("export", text_model, "--format", "csv", "--output", "mine.csv"))
    assert done.stdout == f"mine.csv: {(tmp_path / 'mine.csv').stat().st_size:,} bytes\n"
    assert ok(microgpt("verify", "mine.csv")).stdout == "a table\n"
    (tmp_path / "mine.csv").write_text("")
    done = microgpt("verify", "mine.csv")
    assert (done.returncode, done.stdout) == (1, "a table\n")
    options = ("export", text_model, "--format", "csv", "--output", "new.csv")
    assert refused(microgpt(*options, "--half")) == "csv has a precision of its own; omit --half"


@pytest.mark.parametrize("module", ["import nosuchmodule", "csv = 1", CSV.replace("wte", "none")])
def test_a_broken_format_names_its_package(microgpt, install, module, text_model) -> None:
    install("broken-tables", "exports", "csv = tables:csv", tables=module)
    problem = refused(microgpt("export", text_model, "--format", "csv", "--output", "mine.csv"))
    assert problem.startswith("broken-tables ")
    ok(microgpt("export", text_model, "--output", "copy"))


def test_a_broken_format_does_not_stop_others(microgpt, install, csv, tmp_path) -> None:
    install("broken", "exports", "abc = nosuchmodule:abc")
    (tmp_path / "mine.csv").write_text("1,2")
    assert ok(microgpt("verify", "mine.csv")).stdout == "a table\n"
    (tmp_path / "mine.txt").write_text("1,2")
    assert refused(microgpt("verify", "mine.txt")).startswith("broken cannot be imported")


def test_a_format_whose_package_is_missing_names_it(microgpt, monkeypatch, tmp_path) -> None:
    installed = {**plugins._installed(), "exports": []}
    monkeypatch.setattr(plugins, "_installed", lambda: installed)
    (tmp_path / "mine.onnx").touch()
    for format, package in (("html", "microgpt-page"), ("gguf", "microgpt-exports")):
        problem = refused(microgpt("export", "--format", format, "--output", "new"))
        assert problem == f"--format {format} requires the package {package}; install it"
    assert "microgpt-exports; install" in refused(microgpt("verify", "mine.onnx"))
    problem = refused(microgpt("export", "--format", "docx", "--output", "new"))
    assert problem == "--format must be one of json, safetensors, got docx"
    assert "--format onnx requires" in refused(microgpt("export", "--output", "new.onnx"))
    problem = refused(microgpt("export", "--output", "new.onnx", "--format", "json"))
    assert "use --format onnx" in problem


@pytest.mark.usefixtures("csv")
def test_the_ending_of_the_output_is_a_format(microgpt, text_model, tmp_path) -> None:
    ok(microgpt("export", text_model, "-o", "mine.csv"))
    ok(microgpt("export", text_model, "-o", "same", "--format", "csv"))
    assert (tmp_path / "mine.csv").read_bytes() == (tmp_path / "same").read_bytes()
    ok(microgpt("export", text_model, "-o", "a.directory"))
    assert (tmp_path / "a.directory/model.safetensors").exists()
