"""Evolutionary search for the hyper-parameters of a microgpt model.

from microgpt_evolution import evolve

result = evolve(names, seed=42)
"""

from importlib import import_module

_MODULE_OF = {  # imported on first use, so that importing only the judge is fast
    "EvolutionResult": "search.evolve",
    "Genome": "genome",
    "NoWinnerError": "errors",
    "SearchEvent": "search.runner",
    "evolve": "search.evolve",
    "read_genome": "genome_file",
}

__all__ = ["EvolutionResult", "Genome", "NoWinnerError", "SearchEvent", "evolve", "read_genome"]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'microgpt_evolution' has no attribute {name!r}")
    return getattr(import_module(f"microgpt_evolution.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
