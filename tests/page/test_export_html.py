import pytest
from commands import refused


def test_a_model_is_exported_as_a_page(microgpt, text_model, tmp_path) -> None:
    page = tmp_path / "sub" / "page.html"
    made = microgpt("export", text_model, "--format", "html", "--output", page)
    assert made.stdout == f"{page}: {page.stat().st_size:,} bytes\n"
    assert page.read_bytes().startswith(b"<!doctype html>")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--output", "page.html", "--model", "none"], "none does not exist"),
        (["--output", "page.html", "--format", "json"], "for a file, use --format html"),
    ],
)
def test_an_html_export_refuses_unsuitable_options(microgpt, tmp_path, options, problem) -> None:
    given = () if "--format" in options else ("--format", "html")
    assert problem in refused(microgpt("export", *given, *options))
    assert not (tmp_path / "page.html").exists()
