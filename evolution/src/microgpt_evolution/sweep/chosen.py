"""A grid around the settings that `train` chooses for the documents and a budget."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from microgpt import Document, Fitted, Fitting, default_lr, with_steps
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.runs.run_directory import HELD_OUT
from microgpt_evolution.sweep.config import SETTINGS, describe, grid
from microgpt_evolution.sweep.records import ChosenSettings


def grid_around(
    fitting: Fitting, fitted: Fitted, axes: Mapping[str, Sequence[Any]]
) -> tuple[list[Genome], list[str], ChosenSettings]:
    """Return the result of `grid`, with the chosen settings first, and their record.

    Each configuration has as many steps as the operations of the chosen settings allow, unless the
    steps are an axis.

    Raises:
        GenomeError: a chosen setting is outside the range that a sweep allows.
    """
    choice, sizes = fitted.choice, fitted.sizes
    lr = choice.config.lr or default_lr(choice.model.n_embd)
    known = {**vars(choice.model), **vars(choice.config), "lr": lr}
    base = Genome(**{name: known[name] for name in SETTINGS if name in known})
    configs, impossible = grid(axes, base)
    found = {base: None}
    for config in configs:
        if "steps" not in axes:
            model = config.model(choice.model.vocab_size)
            length = sizes.chunk_length(config.block_size)
            hyper = replace(config.train_config(seed=0), evaluations=choice.config.evaluations)
            fit = with_steps(hyper, model, choice.operations, length)
            is_warmed_up = base.warmup_steps and "warmup_steps" not in axes
            warmup = fit.warmup_steps if is_warmed_up else config.warmup_steps
            try:
                config = replace(config, steps=fit.steps, warmup_steps=warmup)
            except GenomeError as error:
                impossible.append(f"{describe(values_of(config, axes))}: {error}")
                continue
        found[config] = None
    assert fitted.budget  # there is none only for Karpathy's names without a limit
    chosen = ChosenSettings(
        base=base,
        budget=fitted.budget,
        swept=tuple(axes),
        vocab_size=fitted.vocab_size,
    )
    return list(found), impossible, chosen


def fitting_for(
    docs: Sequence[Document] | str, limits: Mapping[str, float], **options: Any
) -> Fitting:
    """Return a `Fitting` that holds out some of the documents, even if there are few.

    Args:
        limits: the budget of each training run, in minutes or operations.
        options: other arguments of `Fitting.of`.
    """
    fitting = Fitting.of(docs, limits, **options)
    if fitting.parts.validation:
        return fitting
    held_out = {"val_fraction": HELD_OUT, "test_fraction": HELD_OUT}
    return Fitting.of(docs, {**held_out, **limits}, **options)
