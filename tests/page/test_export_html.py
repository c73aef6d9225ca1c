import pytest
from commands import refused


def test_a_model_is_exported_as_a_page_also_through_a_link(microgpt, text_model, tmp_path) -> None:
    page, link = tmp_path / "sub" / "page.html", tmp_path / "link.html"
    made = microgpt("export", text_model, "--format", "html", "--output", page)
    assert made.stdout == f"{page}: {page.stat().st_size:,} bytes\n"
    page.write_text("mine")
    link.symlink_to(page)
    options = ("--format", "html", "--output", link, "--force")
    assert microgpt("export", text_model, *options).returncode == 0
    assert link.is_symlink()
    assert page.read_bytes().startswith(b"<!doctype html>")


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
