"""A grid around Karpathy's settings, or around those that `train` chooses for the documents."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from microgpt import (
    Choice,
    Document,
    Split,
    TimeLimit,
    choose_settings,
    default_lr,
    hold_out,
    split,
    with_steps,
)
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.runs.run_directory import HELD_OUT
from microgpt_evolution.sweep.config import SETTINGS, describe, grid
from microgpt_evolution.sweep.records import ChosenSettings


class PlannedGrid(NamedTuple):
    """The genomes of a grid."""

    genomes: Sequence[Genome]
    skipped: Sequence[str]  # notes on the combinations that are impossible
    parts: Split
    chosen: ChosenSettings | None = None  # the settings around which the grid is, if not Karpathy's
    choice: Choice | None = None  # explains them


def plan_grid(
    docs: Sequence[Document] | str,
    axes: Mapping[str, Sequence[Any]],
    limits: Mapping[str, float] | None,
    limit: TimeLimit | None = None,
    **options: Any,
) -> PlannedGrid:
    """Return the grid of these axes; some of the documents are held out, even if there are few.

    Args:
        limits: the budget of each training run, in minutes or operations, for which the other
            settings are chosen; None for Karpathy's settings.
        limit: the time limit for the minutes.
        options: other arguments of `choose_settings`.

    Raises:
        GenomeError: an axis is unknown, or a value of it has the wrong type.
    """
    if limits is None:
        genomes, skipped = grid(axes)
        return PlannedGrid(genomes, skipped, split(docs, validation=HELD_OUT, test=HELD_OUT))
    given = {**limits, "text": "stream" if isinstance(docs, str) else "lines", "single": True}
    parts = hold_out(docs, given)
    if not parts.validation:
        held_out = {"val_fraction": HELD_OUT, "test_fraction": HELD_OUT}
        parts = hold_out(docs, {**held_out, **given})
    choice = choose_settings(parts, given, limit=limit, **options)
    genomes, skipped, chosen = _grid_around(choice, axes)
    return PlannedGrid(genomes, skipped, parts, chosen, choice)


def _grid_around(
    choice: Choice, axes: Mapping[str, Sequence[Any]]
) -> tuple[list[Genome], list[str], ChosenSettings]:
    """Return the result of `grid`, with the chosen settings first, and their record.

    Each configuration has as many steps as the operations of the chosen settings allow, unless the
    steps are an axis.
    """
    sizes = choice.sizes
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
    assert choice.budget  # there is none only for Karpathy's names without a limit
    chosen = ChosenSettings(
        base=base,
        budget=choice.budget,
        swept=tuple(axes),
        vocab_size=choice.vocab_size,
    )
    return list(found), impossible, chosen
