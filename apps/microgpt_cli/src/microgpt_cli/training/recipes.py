"""Options of `microgpt train` that a genome or a preset stands for."""

from pathlib import Path

from microgpt.training.presets import PRESETS, PresetName
from microgpt_evolution.genome import LONG_DOCS
from microgpt_evolution.genome_file import read_genome


def genome_options(path: Path) -> dict[str, int | float | str]:
    """Return the values of a genome.json under the names that `train` has for them."""
    genome = read_genome(path).genome
    return {
        "n_embd": genome.n_emb,
        "n_head": genome.n_head,
        "n_layer": genome.n_layer,
        "block_size": genome.n_ctx,
        "n_ff_exp": genome.n_ff_exp,
        "steps": genome.steps,
        "lr": genome.lr,
        "long_docs": LONG_DOCS,
    }


def preset_options(name: PresetName) -> dict[str, object]:
    """Return the values of a preset under the names that `train` has for them."""
    preset = PRESETS[name]
    return {
        **vars(preset.model),
        **vars(preset.config),
        "val_fraction": preset.val_fraction,
        "test_fraction": preset.test_fraction,
        **({"chat": True} if preset.data == "grammar" else {}),
    }
