"""Default settings follow the documents, except for Karpathy's names."""

import pytest

from microgpt import ModelConfig, TrainConfig, load_text, train
from microgpt.config import TextKind, default_lr
from microgpt.data.split import Split, split, split_stream
from microgpt.data.tokenizer import CharTokenizer, Message
from microgpt.training import defaults
from microgpt.training.defaults import Defaults


def defaults_for(parts: Split, text: TextKind = "lines") -> Defaults:
    return defaults.defaults_for(parts, CharTokenizer.from_documents(parts.docs), text)


def test_karpathys_names_get_karpathys_settings() -> None:
    names = load_text("data/names.txt")
    karpathys = Defaults(ModelConfig(), TrainConfig(lr=0.01))
    assert defaults_for(split(names)) == karpathys
    assert defaults_for(split(names, validation=0.1)) == karpathys
    assert defaults_for(split(names[1:])).config.batch_size > 1


def test_more_text_gets_a_larger_model() -> None:
    widths = [
        defaults_for(split(["a town of twenty char"] * n)).model.n_embd for n in (20, 2_000, 20_000)
    ]
    assert widths == [16, 32, 64]


@pytest.mark.parametrize(("length", "context"), [(3, 16), (15, 16), (16, 32), (40, 64), (999, 256)])
def test_the_context_holds_most_documents(length: int, context: int) -> None:
    docs = ["b" * length] * 99 + ["c" * 2_000]
    assert defaults_for(split(docs)).model.block_size == context


def test_the_context_of_conversations_includes_role_tokens() -> None:
    talk = (Message("user", "a" * 10), Message("assistant", "b" * 10))  # 25 predictions
    assert defaults_for(split([talk])).model.block_size == 32


def test_running_text_does_not_need_a_context_of_its_length() -> None:
    assert defaults_for(split_stream("some prose " * 10_000), "stream").model.block_size == 64


def test_the_steps_pass_over_the_data_ten_times_at_most() -> None:
    docs = [f"town {i:05d} of many" for i in range(500)]
    assert defaults_for(split(docs)).config.steps == 10 * 500 // 16 + 1
    assert defaults_for(split(docs * 20)).config.steps == 3_000
    assert defaults_for(split_stream("some prose " * 3_000), "stream").config.steps == 323


def test_held_out_documents_do_not_change_the_settings() -> None:
    docs = [f"town {i:05d} of many" for i in range(8_000)]
    assert defaults_for(split(docs)) == defaults_for(split(docs, validation=0.2))


def test_train_uses_the_defaults_unless_a_shape_is_given() -> None:
    docs = ["a" * 30]
    config = TrainConfig(steps=1)
    assert train(docs, config=config).model.block_size == 32
    assert train(docs, config=config, model=ModelConfig()).model.block_size == 16
    parent = train(docs, config=config, model=ModelConfig())
    assert train(docs, config=config, parent=parent).model.block_size == 16


def test_the_default_learning_rate_is_inversely_proportional_to_the_width() -> None:
    assert [default_lr(n) for n in (8, 16, 32, 160)] == [0.01, 0.01, 0.005, 0.001]
    wide = ModelConfig(n_embd=32)
    assert train(["ab"], model=wide, config=TrainConfig(steps=1)).config.lr == 0.005
    assert train(["ab"], model=wide, config=TrainConfig(steps=1, lr=0.02)).config.lr == 0.02
