"""Describe the settings that `train` chose for the documents and the budget, and say why."""

from microgpt import Choice, count, count_params, duration, in_short


def explain_settings(choice: Choice) -> tuple[str, ...]:
    """Return a line with the chosen settings and one with the reasons; () if there is no budget."""
    if choice.budget is None:
        return ()
    sizes, model, config, ensemble = choice.sizes, choice.model, choice.config, choice.ensemble
    read = ensemble.teacher if ensemble else config
    is_stream, models, steps = config.text == "stream", "", config.steps
    if ensemble:
        models = f"up to {ensemble.n_teachers} teachers and then their student, each with "
        steps += ensemble.n_teachers * ensemble.teacher.steps
    subwords = f"{model.vocab_size:,} subwords, " if choice.vocab_size is not None else ""
    chosen = (
        f"{in_short(choice.operations, 2)} operations: {models}{count(model.n_layer, 'layer')} of "
        f"width {model.n_embd}, {subwords}context {model.block_size}, {count(steps, 'step')} of "
        f"{count(config.batch_size, 'chunk' if is_stream else 'document')}, dropout "
        f"{read.dropout:g} ({count_params(model):,} weights)"
    )
    text = "of running text" if is_stream else f"in {count(sizes.n_docs, 'document')}"
    n_read = read.steps * read.batch_size * sizes.chunk_length(model.block_size)
    n_passes = n_read / max(1.0, sizes.n_tokens)
    n_times = f"{n_passes:.2g}" if n_passes < 9.95 else f"{n_passes:,.0f}"
    why = f"why: {sizes.n_characters:,} characters {text}, read {n_times} times"
    if ensemble:
        why += " by each teacher"
    if speed := choice.operations_per_s:
        why += f" in about {duration(choice.operations / speed)}"
    if choice.is_limited:
        budget = f"{in_short(choice.budget)} operations"
        why += f"; the data are too small for {budget}, so training ends early"
    return chosen, why
