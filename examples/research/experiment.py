"""Train a small GPT: the program that `microgpt research` improves; see program.md."""

from collections.abc import Sequence

from microgpt import (
    ModelConfig,
    Split,
    TrainConfig,
    TrainResult,
    char_tokenizer,
    config_for_operations,
    measure,
    train,
)

SETTINGS = {
    "n_embd": 16,
    "n_layer": 1,
    "n_head": 4,
    "n_ff_exp": 4,
    "batch_size": 8,
    "lr": 0.01,
    "beta1": 0.85,
    "beta2": 0.99,
    "weight_decay": 0.001,
}


def experiment(docs: Sequence[str], seed: int, operations: float) -> TrainResult:
    """Return a model trained on documents with a seed and at most `operations` operations."""
    tokenizer = char_tokenizer(docs)
    shape = {name: SETTINGS[name] for name in ("n_embd", "n_layer", "n_head", "n_ff_exp")}
    model = ModelConfig(**shape, block_size=16, vocab_size=tokenizer.vocab_size)
    others = {name: value for name, value in SETTINGS.items() if name not in shape}
    config = TrainConfig(**others, seed=seed, evaluations=1)
    length = measure(docs, tokenizer, "lines").chunk_length(model.block_size)
    config = config_for_operations(config, model, operations, length)  # sets steps and warmup_steps
    return train(Split(docs, docs), model=model, config=config, tokenizer=tokenizer)
