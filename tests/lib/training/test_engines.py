from itertools import chain

import pytest

from microgpt import InferenceGpt, TrainConfig, load, save, train
from microgpt.config import Sampling
from microgpt.errors import ConfigError
from microgpt.plugins import EngineWarning
from microgpt.surprise import explain

MISSING = "the compiled engine is not installed"


def test_the_reference_engine_replaces_a_missing_compiled_engine(no_engine, tmp_path) -> None:
    with pytest.warns(EngineWarning, match=f"{MISSING}.* reference .*install microgpt-engine"):
        result = train(["anna", "emma"], config=TrainConfig(steps=3))
    assert (result.plan.engine, result.dtype) == ("reference", "float64")
    save(result, tmp_path / "model")
    with pytest.warns(EngineWarning, match=MISSING):
        model = InferenceGpt(load(tmp_path / "model"))
    assert model.generate(2) == InferenceGpt(result, engine="reference").generate(2)
    assert model.evaluate(["anna"]).n_tokens == 5
    assert len(explain(model, "anna").predictions) == 5


@pytest.mark.filterwarnings("ignore::microgpt.plugins.EngineWarning")
def test_a_student_can_be_trained_without_the_compiled_engine(no_engine) -> None:
    teacher = train(["anna", "emma"], config=TrainConfig(steps=3))
    student = train(["anna", "emma"], config=TrainConfig(steps=3), teachers=[teacher])
    assert student.plan.engine == "reference"


def test_the_error_for_a_missing_engine_names_the_missing_package(no_engine, text_result) -> None:
    with pytest.raises(ConfigError, match=f"{MISSING}; .*engine=.*install microgpt-engine"):
        train(["anna"], config=TrainConfig(engine="compiled"))
    with pytest.raises(ConfigError, match=f"{MISSING}; .*install microgpt-engine"):
        InferenceGpt(text_result, engine="compiled").generate(1)


@pytest.mark.compiled
@pytest.mark.parametrize("kind", ["text", "chat"])
def test_a_batch_of_jobs_gives_the_same_tokens_on_both_engines(kind, request, monkeypatch) -> None:
    # Each call decodes one token, even on a fast machine.
    for module in ("microgpt.reference_engine", "microgpt_engine.decoder"):
        monkeypatch.setattr(f"{module}.RUN_S", 0.0)
    monkeypatch.setattr("microgpt_engine.decoder.WORK_5_MS", 0)
    result = request.getfixturevalue(f"{kind}_result")
    found = []
    for engine in ("compiled", "reference"):
        model = InferenceGpt(result, engine=engine)
        jobs = [model.text_job(n, sampling=Sampling(2.0), seed=n, max_tokens=9) for n in (1, 3)]
        batch, outputs = model.engine_model.batch(jobs), {0: [], 1: []}
        while batch.open:
            for number, output in [(n, batch.take(n)) for n in batch.open] + batch.run():
                outputs[number].append(output)
        found.append({
            number: [
                ([*chain.from_iterable(one.tokens for one in parts)], parts[-1].finish_reason)
                for parts in zip(*each, strict=True)
            ]
            for number, each in outputs.items()
        })  # fmt: skip
    assert found[0] == found[1]
