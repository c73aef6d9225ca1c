from dataclasses import replace

import pytest
from exported_models import ARCHITECTURES, saved_model

from microgpt import TrainConfig, train
from microgpt.errors import ConfigError
from microgpt.exports.apertus import misfit
from microgpt.exports.portable_student import plan_student
from microgpt.storage.model_directory import load, save
from microgpt.training.ensemble_training import train_job

NAMES = [a + b for a in ("an", "em", "mi", "lu", "zo", "ka") for b in ("na", "ma", "la", "ra")]
CONFIG = TrainConfig(steps=300, batch_size=4, lr=0.01, seed=5, dropout=0.1, weight_decay=0.1)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory):
    """A model with token shift that has learned all names."""
    shape = replace(saved_model(n_layer=1, **ARCHITECTURES["newer"]).model, vocab_size=0)
    path = tmp_path_factory.mktemp("teacher") / "model"
    save(train(NAMES, model=replace(shape, block_size=8, init_std=0.08), config=CONFIG), path)
    return load(path)


def test_misfit_names_the_settings_that_are_not_portable() -> None:
    assert misfit(saved_model(**ARCHITECTURES["portable"]).model) == ""
    assert misfit(saved_model(**ARCHITECTURES["learned"]).model) == (
        "the model has learned positions and token shift, which no architecture of llama.cpp and "
        "transformers has"
    )


def test_a_student_has_the_shape_and_steps_of_its_teacher(teacher) -> None:
    plan = plan_student(teacher, NAMES).job.plan
    assert plan.model == replace(teacher.model, token_shift=False)
    assert plan.tokenizer == teacher.tokenizer
    same = {"evaluations": plan.config.evaluations}  # nothing is held out
    assert plan.config == replace(CONFIG, dropout=0.0, **same)


@pytest.mark.parametrize("docs", [NAMES, None])
def test_a_student_learns_what_its_teacher_predicts(docs, teacher) -> None:
    student = plan_student(teacher, docs)
    assert student.is_made_up  # nothing was held out
    untrained, trained = (
        student.bits(train_job(replace(student.job, plan=replace(student.job.plan, config=each))))
        for each in (replace(CONFIG, steps=1), student.job.plan.config)
    )
    ideal = student.bits(teacher)
    assert ideal < untrained - 0.5
    assert trained - ideal < 0.2 * (untrained - ideal)


def test_a_student_does_not_inherit_fine_tuning_settings(teacher) -> None:
    training = {**teacher.meta.training, "parent_sha256": "0" * 64}
    meta = teacher.meta.model_copy(update={"training": training})
    plan = plan_student(replace(teacher, meta=meta), NAMES).job.plan
    assert plan.config.steps != CONFIG.steps
    assert plan.model == replace(teacher.model, token_shift=False)


def test_a_head_size_unsuitable_for_rotation_is_refused() -> None:
    teacher = saved_model(**ARCHITECTURES["one number"])
    with pytest.raises(ConfigError, match="rotary"):
        plan_student(teacher)


def test_a_student_holds_out_a_tenth_of_other_documents(teacher) -> None:
    student = plan_student(teacher, [name[::-1] + name for name in NAMES])
    assert 0 < len(student.held_out) < 8
    assert not {*student.held_out} & {*student.job.parts.train}
    assert not student.is_made_up
