import pytest
from commands import refused


def test_export_writes_an_html_file_and_prints_its_size(microgpt, text_model, tmp_path) -> None:
    page = tmp_path / "sub" / "page.html"
    made = microgpt("export", text_model, "--format", "html", "--output", page)
    assert made.stdout == f"{page}: {page.stat().st_size:,} bytes\n"
    assert page.read_bytes().startswith(b"<!doctype html>")


@pytest.mark.parametrize(
    ("kind", "problem"),
    [("html", "none does not exist"), ("json", "for a file, use --format html")],
)
def test_export_to_an_html_file_refuses_json_or_a_missing_model(
    microgpt, tmp_path, kind, problem
) -> None:
    options = ("--format", kind, "--output", "page.html", "--model", "none")
    assert problem in refused(microgpt("export", *options))
    assert not (tmp_path / "page.html").exists()
