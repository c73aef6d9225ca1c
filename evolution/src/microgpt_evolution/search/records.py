"""Evaluations of a search."""

from microgpt_evolution.runs.run_directory import RunDirectory
from microgpt_evolution.search.settings import SearchSettings


class Records(RunDirectory[SearchSettings]):
    """The records of a search; see `RunDirectory`."""

    settings_type = SearchSettings
