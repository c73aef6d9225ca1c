from dataclasses import replace

from microgpt.data.folding import char_tokenizer
from microgpt.training.choice import choose
from microgpt.training.operations import step_operations
from microgpt_evolution.budget_plan import genome_of


def test_a_genome_and_a_budget_determine_a_training_run(objective, small) -> None:
    plan = replace(objective, operations=1e9).plan(small)
    assert plan.config.batch_size == round(40 / plan.length)
    assert 0 <= 1e9 / step_operations(plan.model, plan.config, plan.length) - plan.config.steps < 8
    assert plan.config.steps % 8 == 0
    assert (plan.config.evaluations, plan.config.lr) == (8, 0.01)
    assert replace(objective, operations=1.0).plan(small).config.steps == 1


def test_a_genome_keeps_the_settings_that_train_chose(small_parts) -> None:
    tokenizer = char_tokenizer(small_parts.docs)
    choice = choose(small_parts, tokenizer, 1e9, text="lines", given={})
    genome = genome_of(choice, length=4.0)
    assert genome.n_tokens == round(4 * choice.config.batch_size)
    assert genome.model(tokenizer.vocab_size) == choice.model
    assert genome.lr == choice.config.lr


def test_the_species_of_a_genome_depends_only_on_its_shape_and_tokenizer(small) -> None:
    assert small.species == "8-2-1-8-2"
    assert replace(small, vocab_size=512).species == "8-2-1-8-2-512"
    assert replace(small, lr=0.1, steps=9, dropout=0.2).species == small.species
