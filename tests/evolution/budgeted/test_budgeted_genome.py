from dataclasses import asdict, replace

import pytest

from microgpt.training.choice import choose
from microgpt.training.operations import step_operations
from microgpt_evolution.budgeted.genome import BudgetedGenome
from microgpt_evolution.errors import GenomeError


@pytest.mark.parametrize(
    ("genes", "problem"),
    [
        ({"n_embd": 0}, "n_embd must be between 1 and 1024, got 0"),
        ({"n_embd": 8.5}, "n_embd must be an integer, got 8.5"),
        ({"n_layer": True}, "n_layer must be an integer, got True"),
        ({"lr": 2.0}, "lr must be between 1e-06 and 1, got 2.0"),
        ({"lr": "fast"}, "lr must be a number, got 'fast'"),
        ({"optimizer": "sgd"}, 'unknown optimizer "sgd"'),
        ({"qk_norm": 1}, "qk_norm must be true or false, got 1"),
        ({"vocab_size": 100}, "vocab_size must be between 257 and 65536, got 100"),
        ({"dropout": 1.0}, "dropout must be in"),
        ({"n_head": 3}, "n_embd .8. must be divisible by n_head .3."),
        ({"n_head": 8, "positions": "rotary"}, "rotary positions need an even number"),
        ({"lr": 0.5, "weight_decay": 3.0}, "weight_decay .3. must be at most 2"),
    ],
)
def test_genes_out_of_range_are_refused(small, genes, problem) -> None:
    with pytest.raises(GenomeError, match=problem):
        replace(small, **genes)


def test_the_number_of_steps_follows_from_the_budget(small) -> None:
    model, length = small.model(vocab_size=20), 6.0
    facts = {"vocab_size": 20, "text": "lines", "evaluations": 8}
    config = small.train_config(1e9, length, **facts)
    assert config.batch_size == round(40 / length)
    assert 0 <= 1e9 / step_operations(model, config, length) - config.steps < 8
    assert config.steps % 8 == 0
    assert (config.evaluations, config.lr) == (8, 0.01)
    assert small.train_config(1.0, length, **facts).steps == 1


def test_settings_chosen_by_train_can_be_written_as_a_genome(small_parts) -> None:
    from microgpt.data.folding import char_tokenizer

    tokenizer = char_tokenizer(small_parts.docs)
    choice = choose(small_parts, tokenizer, 1e9, text="lines")
    genome = BudgetedGenome.of(choice, length=4.0, vocab_size=None)
    assert genome.n_tokens == round(4 * choice.config.batch_size)
    assert genome.model(tokenizer.vocab_size) == choice.model
    assert genome.lr == choice.config.lr


def test_the_species_depends_only_on_shape_and_tokenizer(small) -> None:
    assert small.species == "8-2-1-8-2-char"
    assert replace(small, vocab_size=512).species == "8-2-1-8-2-512"
    assert replace(small, lr=0.1, dropout=0.2).species == small.species
    assert BudgetedGenome(**asdict(small)) == small
