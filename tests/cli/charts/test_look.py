"""What all charts share: colors that can be seen, axes that say what they are, and words."""

import re

import altair as alt
import pytest

from microgpt_cli.charts import COLORS, GREY, SCHEMES, picture

ROWS = [{"x": 1, "y": 1, "name": "a long name at the right"}]


def luminance(color: str) -> float:
    """Return the relative luminance of a color, as WCAG 2.2 defines it."""
    weights = (0.2126, 0.7152, 0.0722)
    return sum(weight * c for weight, c in zip(weights, linear_of(color), strict=True))


def linear_of(color: str) -> list[float]:
    """Return red, green and blue of a color, linear in the light."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_marks_and_text_are_visible_in_both_color_schemes(scheme) -> None:
    # WCAG 2.2, 1.4.11
    assert min(contrast(color, scheme["paper"]) for color in (*COLORS, GREY)) >= 3
    assert min(contrast(scheme[name], scheme["paper"]) for name in ("ink", "quiet")) >= 4.5


def test_a_picture_is_wide_enough_for_its_longest_text() -> None:
    chart = alt.Chart(alt.InlineData(values=ROWS)).mark_text(align="left", x=300)
    drawn = picture(chart.encode(text="name:N").properties(width=300).to_dict(), "svg").decode()
    width = float(re.search(r'width="([\d.]+)"', drawn)[1])  # type: ignore[index]
    assert width > 300 + 6 * len(ROWS[0]["name"])  # type: ignore[arg-type]
