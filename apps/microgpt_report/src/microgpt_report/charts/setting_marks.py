"""Colors and symbols of the settings of a sweep."""

from collections.abc import Sequence

import altair as alt

from microgpt_evolution.sweep.config import SweepConfig, differing
from microgpt_report import theme
from microgpt_report.page import Row
from microgpt_report.scaling_tables import SIZE, model_name
from microgpt_report.setting_names import describe_settings, in_words, value_in_words

N_SHAPES = 8  # number of distinct symbols in Vega-Lite
LEGEND_CHARS = 70  # characters in a row of the legend of symbols, beside that of colors


class SettingMarks:
    """What colors and symbols show in the charts of a sweep.

    Colors show the size of the model or, if there is only one, the setting with most values.
    Symbols show the other settings that differ, except the steps, which are part of the cost.
    """

    def __init__(self, configs: Sequence[SweepConfig]) -> None:
        """Choose the settings for configurations in the order of their size."""
        varied = [name for name in differing(configs) if name != "steps"]
        self._colored = ""  # the setting that colors show, if it is not the size
        if varied and not {*SIZE} & {*varied}:
            self._colored = max(varied, key=lambda n: len({getattr(c, n) for c in configs}))
        self._others = [name for name in varied if name not in {*SIZE, self._colored}]
        by_color = configs
        if self._colored:
            by_color = sorted(configs, key=lambda config: getattr(config, self._colored))
        colors = list(dict.fromkeys(map(self._color, by_color)))
        by_symbol = sorted(configs, key=lambda c: tuple(getattr(c, n) for n in self._others))
        symbols = list(dict.fromkeys(map(self._symbol, by_symbol)))
        title = in_words(self._colored) if self._colored else "model (width/heads/layers)"
        self.color = alt.Color(
            "color:N",
            scale=theme.color_scale(colors),
            legend=alt.Legend(title=title) if colors[1:] else None,
        )
        self.repeats = len(symbols) > N_SHAPES
        columns = max(1, min(4, LEGEND_CHARS // max(1, *map(len, symbols))))
        note = f"symbols repeat after {N_SHAPES}" if self.repeats else None
        self.symbol = alt.Shape(
            "symbol:N",
            sort=symbols,
            legend=alt.Legend(title=note, columns=columns) if self._others else None,
        )
        words = " and ".join(map(in_words, self._others))
        found = {"color": title if colors[1:] else "", "symbol": words}
        self.meanings = {mark: meaning for mark, meaning in found.items() if meaning}

    def row(self, config: SweepConfig) -> Row:
        """Return the fields of a configuration that `color` and `symbol` encode."""
        return {"color": self._color(config), "symbol": self._symbol(config)}

    def _color(self, config: SweepConfig) -> str:
        if not self._colored:
            return model_name(config)
        return value_in_words(getattr(config, self._colored))

    def _symbol(self, config: SweepConfig) -> str:
        return describe_settings({name: getattr(config, name) for name in self._others})
