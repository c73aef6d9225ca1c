"""Say which settings were chosen for the documents and the budget, and why."""

from microgpt import Choice, count, count_params, duration, in_short


def explain_settings(choice: Choice) -> tuple[str, ...]:
    """Return two lines with the chosen settings and the reasons; none for Karpathy's settings."""
    if choice.budget is None:
        return ()
    sizes, model, config, ensemble = choice.sizes, choice.model, choice.config, choice.ensemble
    is_stream, spent = config.text == "stream", in_short(choice.budget)
    is_cut = is_stream or sizes.lengths[-1] > model.block_size
    limited = f"{in_short(choice.operations, 2)} of {spent}" if choice.is_limited else spent
    models, by, subwords, steps = "", "", "", count(config.steps, "step")
    read = ensemble.teacher if ensemble else config
    if ensemble:
        n, by = ensemble.n_teachers, " by each teacher"
        steps = f"{n * ensemble.teacher.steps + config.steps:,} steps in all"
        models = f"{n} teachers and then their student, each with "
    if choice.vocab_size is not None:
        size = sizes.n_characters / sizes.n_tokens
        subwords = f"{model.vocab_size:,} subwords of {size:.1f} characters, "
    chosen = (
        f"{limited} operations: {models}{count(model.n_layer, 'layer')} of width {model.n_embd}, "
        f"{subwords}context {model.block_size}, {steps} of "
        f"{count(config.batch_size, 'chunk' if is_cut else 'document')}, dropout "
        f"{read.dropout:g} ({count_params(model):,} weights)"
    )
    n, mean = sizes.n_docs, sizes.n_characters / sizes.n_docs
    text = "of running text" if is_stream else f"in {count(n, 'document')} of {mean:,.0f}"
    n_times = f"{choice.n_passes:.2g}" if choice.n_passes < 9.95 else f"{choice.n_passes:,.0f}"
    why = f"why: {sizes.n_characters:,} characters {text}, read {n_times} times{by}"
    budget = f"{spent} operations"
    if speed := choice.operations_per_s:
        budget, training = (duration(each / speed) for each in (choice.budget, choice.operations))
        why += f" in about {training} ({in_short(speed, 2)} operations per second)"
    if ensemble and ensemble.n_samples:
        why += f"; the student also reads {ensemble.n_samples:,} documents that they generate"
    if choice.is_limited:
        why += f"; the data are too small for {budget}, so training ends early"
    return chosen, why
