import pytest
from commands import refused


def test_export_writes_the_page_of_a_model_as_one_html_file(microgpt, text_model, tmp_path) -> None:
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
def test_export_to_an_html_file_refuses_a_missing_model_or_the_json_format(
    microgpt, tmp_path, options, problem
) -> None:
    given = () if "--format" in options else ("--format", "html")
    assert problem in refused(microgpt("export", *given, *options))
    assert not (tmp_path / "page.html").exists()
