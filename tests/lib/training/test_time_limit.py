"""Tests of the estimated number of operations of a training run, and of its time limit."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from microgpt import CharTokenizer, ModelConfig, TrainConfig, count_params
from microgpt.data.split import Split
from microgpt.training import loop
from microgpt.training.hooks import OnEvent
from microgpt.training.operations import (
    evaluation_operations,
    operations_per_second,
    step_operations,
)
from microgpt.training.planning import TrainingJob
from microgpt.training.time_limit import TimeLimit
from microgpt.training.train import train, train_job
from microgpt.training_state import TrainEvent, TrainingPlan
from microgpt_engine import trainer

DOCS = ["anna", "emma", "ava", "mia", "isabella", "noah", "liam"]
PARTS = Split(DOCS, DOCS[2:], DOCS[:1], DOCS[1:2], 0.1, 0.1)
STEPS = 400
CHOICE = SimpleNamespace(is_limited=False)
TOKENIZER = CharTokenizer.from_documents(DOCS)


def plan_of(**settings) -> TrainingPlan:
    model = ModelConfig(n_embd=4, n_head=2, block_size=8, vocab_size=TOKENIZER.vocab_size)
    settings = {"steps": STEPS, "batch_size": 2, "dropout": 0.1, **settings}
    config = TrainConfig(lr=0.01, engine="compiled", dtype="float32", **settings)
    return TrainingPlan(model, config, TOKENIZER, PARTS.facts)


@pytest.fixture(autouse=True)
def an_event_per_step(monkeypatch) -> None:
    monkeypatch.setattr(loop, "EVENT_INTERVAL_S", 0.0)
    monkeypatch.setattr(trainer, "MAX_STEPS", 1)


class Machine:
    """Simulates a run planned for 57 s; steps after `from_step` take `factor` times as long."""

    def __init__(self, from_step: int = 0, factor: float = 1.0) -> None:
        self.n_done, self.from_step, self.factor = 0, from_step, factor

    @property
    def seconds(self) -> float:
        n = self.n_done
        return (min(n, self.from_step) + self.factor * max(0, n - self.from_step)) * 57 / STEPS

    def follow(self, event: TrainEvent) -> None:
        self.n_done += len(event.losses)

    def train(self, plan: TrainingPlan, **options):
        limit = TimeLimit(1, 0, 0, lambda: self.seconds)
        job = TrainingJob(plan, PARTS, limit=limit, **options)
        return train_job(job, hooks=[OnEvent(self.follow)])


def again(plan: TrainingPlan):
    return train(PARTS, model=plan.model, config=plan.config, tokenizer=plan.tokenizer)


@pytest.mark.parametrize("factor", [1.1, 2, 5])
def test_a_slow_run_restarts_with_as_many_steps_as_the_time_allows(factor) -> None:
    machine = Machine(factor=factor)
    result = machine.train(plan_of(warmup_steps=40))
    assert result.ending == "steps"
    assert 54 <= machine.seconds <= 58
    steps = result.config.steps
    assert result.plan == plan_of(steps=steps, warmup_steps=40 * steps // STEPS)
    repeated = again(result.plan)
    assert result.weights == repeated.weights
    assert (result.losses, result.test_loss) == (repeated.losses, repeated.test_loss)


def test_a_run_faster_than_estimated_gets_more_steps_and_dropout() -> None:
    machine = Machine(factor=0.5)
    config = machine.train(plan_of(), choice=CHOICE).config
    assert 54 <= machine.seconds <= 58
    assert config.dropout == round(0.1 * config.steps / STEPS, 2) > 0.1


def test_a_given_dropout_does_not_depend_on_the_number_of_steps() -> None:
    plan = replace(plan_of(), given={"dropout": 0.1})
    job = TrainingJob(plan, PARTS, choice=CHOICE).with_steps(2 * STEPS)
    assert job.plan.config == plan.config.with_steps(2 * STEPS)


@pytest.mark.parametrize("machine", [Machine(0, 1.01), Machine(0, 0.5), Machine(20, 1.08)])
def test_a_run_that_would_end_in_time_keeps_its_number_of_steps(machine) -> None:
    result = machine.train(plan_of())
    assert result.plan == plan_of()
    assert result.weights == again(plan_of()).weights


@pytest.mark.parametrize("from_step", [20, 200, 360])
@pytest.mark.parametrize("factor", [2, 5])
def test_a_run_that_slows_down_stops_near_the_time_limit_and_can_resume(from_step, factor) -> None:
    machine = Machine(from_step, factor)
    result = machine.train(plan_of())
    assert 60 < machine.seconds <= 63
    assert result.ending == "until"
    assert result.plan == plan_of(until=result.state.step)
    assert result.test_loss is not None
    assert result.weights == again(result.plan).weights
    rest = train_job(TrainingJob(plan_of(), PARTS, resume=result.state))
    assert rest.weights == again(plan_of()).weights


def test_a_slow_resumed_run_stops_instead_of_restarting() -> None:
    result = Machine(factor=2).train(plan_of(), resume=again(plan_of(until=100)).state)
    assert result.plan == plan_of(until=result.state.step)
    assert 310 <= result.state.step <= 320


MODEL = ModelConfig(n_embd=64, n_head=4, n_layer=3, block_size=64, vocab_size=100)
TIMED = ModelConfig(n_embd=32, n_layer=2, vocab_size=9)


def test_matrix_products_dominate_the_operations_of_large_models() -> None:
    large = ModelConfig(
        n_embd=2048, n_layer=24, block_size=8, vocab_size=1000, architecture="modern"
    )
    config = TrainConfig(batch_size=4096)
    n_weights = count_params(large) - large.vocab_size * large.n_embd  # reading wte costs nothing
    products = 6 * n_weights * 4096 * 8
    assert step_operations(large, config, 8) == pytest.approx(products, rel=0.01)


def test_an_evaluation_needs_a_third_of_the_operations_of_a_training_step() -> None:
    config = TrainConfig(batch_size=1000)
    assert evaluation_operations(MODEL, 20, 20_000) == pytest.approx(
        step_operations(MODEL, config, 20) / 3, rel=0.01
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_the_speed_of_muon_can_be_measured_with_1_or_2_threads(threads) -> None:
    config = TrainConfig(batch_size=64, optimizer="muon", engine="compiled", dtype="float32")
    assert operations_per_second(TIMED, config, length=8, threads=threads) > 0
