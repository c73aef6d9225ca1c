import altair as alt

from microgpt_evolution.report.study_report import Report, render


def test_a_report_page_escapes_control_characters() -> None:
    """A page may be looked at in a terminal, and HTML knows no control characters."""
    odd = "x\x1b]0;x\x07\x9b\u202e<é"
    chart = alt.Chart(alt.InlineData(values=[{"a": 1}])).mark_point()
    text = render(Report(odd, odd, {odd: odd}, chart, odd, [[odd], [f"{odd}\n{odd}"]]))
    assert not set("\x1b\x07\x9b\u202e") & set(text)
    assert r"<td>x\x1b]0;x\x07\x9b\u202e&lt;é\nx" in text
