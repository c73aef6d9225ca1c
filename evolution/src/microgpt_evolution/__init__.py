"""Evolutionary search for the hyper-parameters of a microgpt model.

from microgpt_evolution import evolve

result = evolve(names, seed=42)
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={  # imported on first use, so that importing one submodule is fast
        "evolution_errors": ["NoWinnerError"],
        "genome": ["Genome"],
        "genome_file": ["read_genome"],
        "generation_search": ["EvolutionResult", "SearchEvent", "evolve"],
    },
)
