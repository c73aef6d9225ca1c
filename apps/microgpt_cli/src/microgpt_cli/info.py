"""`microgpt info`: what a model is."""

import json

from microgpt_cli.options import DEFAULT_MODEL_DIR, AsJson, ModelDir


def info(
    model_dir: ModelDir = DEFAULT_MODEL_DIR,
    as_json: AsJson = False,
) -> None:
    """Print what a model is and how it came about."""
    from microgpt.checkpoint import load
    from microgpt.model import count_params

    saved = load(model_dir)
    meta, model = saved.meta, saved.model
    facts: dict[str, object] = {
        "vocab_size": model.vocab_size,
        "n_embd": model.n_embd,
        "n_head": model.n_head,
        "n_layer": model.n_layer,
        "block_size": model.block_size,
        "n_ff_exp": model.n_ff_exp,
        "charset": list(saved.tokenizer.chars),
        "special_tokens": list(meta.special_tokens) if meta.special_tokens else None,
        "num_params": count_params(model),
        "created_by": meta.created_by,
        "created_at": meta.created_at,
        "training": meta.training or None,
    }
    facts = {name: fact for name, fact in facts.items() if fact is not None}
    if as_json:
        print(json.dumps(facts))
        return
    training = facts.pop("training", {})
    print("microgpt model")
    _print_facts(facts)
    if isinstance(training, dict) and training:
        print("training")
        _print_facts(training)


def _print_facts(facts: dict[str, object]) -> None:
    width = max(map(len, facts)) + 1
    for name, fact in facts.items():
        shown = fact if not isinstance(fact, str) or fact.isprintable() else repr(fact)
        print(f"  {name + ':':<{width}}  {shown}")
