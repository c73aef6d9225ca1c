import pytest
from commands import refused


def test_a_model_can_be_exported_as_a_single_html_page(microgpt, text_model, tmp_path) -> None:
    page = tmp_path / "sub" / "page.html"
    made = microgpt("export", text_model, "--format", "html", "--output", page)
    assert made.stdout == f"{page}: {page.stat().st_size:,} bytes\n"
    assert page.read_bytes().startswith(b"<!doctype html>")


def test_export_writes_through_a_symbolic_link(microgpt, text_model, tmp_path) -> None:
    page, link = tmp_path / "page.html", tmp_path / "link.html"
    page.write_text("mine")
    link.symlink_to(page)
    options = ("--format", "html", "--output", link, "--force")
    assert microgpt("export", text_model, *options).returncode == 0
    assert link.is_symlink()
    assert page.read_bytes().startswith(b"<!doctype html>")


def test_an_export_does_not_replace_a_file_of_a_model(microgpt, text_model) -> None:
    weights = text_model / "weights.json"
    before = weights.read_bytes()
    options = ("--format", "html", "--output", weights, "--force")
    assert "is a file of a model" in refused(microgpt("export", text_model, *options))
    assert weights.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--output", "page.html", "--half"], "html has a precision of its own; omit --half"),
        (["--output", "page.html", "--model", "none"], "none does not exist"),
        (["--output", "page.html", "--format", "json"], "for a file, use --format html"),
    ],
)
def test_an_html_export_refuses_unsuitable_options(microgpt, tmp_path, options, problem) -> None:
    given = () if "--format" in options else ("--format", "html")
    assert problem in refused(microgpt("export", *given, *options))
    assert not (tmp_path / "page.html").exists()
