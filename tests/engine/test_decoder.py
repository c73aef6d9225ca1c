import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt import InferenceGpt, Message, ModelConfig, Sampling, TrainConfig
from microgpt.data.tokenizer import ROLES
from microgpt.errors import PromptError
from microgpt.sampling import Job
from microgpt.training.engines import EngineBatch
from microgpt.training.train import train


def finish(batch: EngineBatch) -> dict[int, list]:
    results: dict[int, list] = {}
    while batch.open:
        results.update(batch.run())
    return results


def texts(model: InferenceGpt, jobs: list[Job]) -> list[list[str]]:
    results = finish(model.engine_model.batch(jobs))
    return [
        [model.tokenizer.decode(one.tokens) for one in results[number]]
        for number in range(len(jobs))
    ]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 2**63 - 1)), min_size=1, max_size=8))
def test_jobs_that_run_together_give_the_same_samples_as_separate_jobs(text, wanted) -> None:
    sampling = Sampling(2.0)
    jobs = [text.text_job(n, seed=seed, sampling=sampling) for n, seed in wanted]
    assert texts(text, jobs) == [text.generate(n, seed=seed, temperature=2) for n, seed in wanted]


def test_each_prompt_of_a_job_is_continued_independently(text) -> None:
    prompts, sampling = ["a", "", "emm"], Sampling(2.0)
    tokens = [text.tokenizer.encode(prompt) for prompt in prompts]
    as_text = text.text_job(3, prompts=prompts, seed=7, sampling=sampling)
    assert (as_text.n_sequences, as_text.seeds) == (9, range(7, 10))
    as_tokens = text.text_job(3, prompts=tokens, seed=7, sampling=sampling)
    expected = [
        t.removeprefix(prompt)
        for prompt in prompts
        for t in text.generate(3, prompt=prompt, seed=7, temperature=2)
    ]
    other = text.text_job(2, seed=1, sampling=sampling)
    alone = text.generate(2, seed=1, temperature=2)
    assert texts(text, [as_text, other, as_tokens]) == [expected, alone, expected]


def test_only_prompt_tokens_without_bos_get_an_opening(text, chat) -> None:
    for model in (text, chat):
        opening = model.opening("")
        pieces = model.tokenizer.encode("hi" if model is chat else "em")
        assert model.opening(pieces) == [*opening, *pieces]
        assert model.opening([opening[0], *pieces]) == [opening[0], *pieces]


said = st.lists(st.text("hioy", min_size=1, max_size=9), min_size=1, max_size=5)


@settings(max_examples=30)
@given(
    st.lists(said, max_size=30),
    st.sampled_from([0, 0.5, 3.0]),
    st.integers(0, 2**63 - 1),
    st.integers(1, 3),
)
def test_batched_replies_equal_streams_with_right_finish_reasons(
    chat, conversations, temperature, seed, threads
) -> None:
    prompts = [
        chat.chat_prompt([Message(ROLES[i % 2], text) for i, text in enumerate(texts)])
        for texts in conversations
    ]
    jobs = [chat.reply_job(prompt, sampling=Sampling(temperature), seed=seed) for prompt in prompts]
    expected = []
    for prompt, job in zip(prompts, jobs, strict=True):
        stream = chat.stream(job)
        expected.append(list(stream))
        room = chat.config.block_size - len(prompt.tokens) + 1  # for the reply and its end token
        assert stream.finish_reason == ("stop" if len(expected[-1]) < room else "length")
    assert list(chat.decode(jobs, threads=threads)) == expected


def test_a_cancelled_job_does_not_affect_other_jobs(text) -> None:
    jobs = [text.text_job(40, seed=1), text.text_job(30, seed=100), text.text_job(3, seed=7)]
    batch = text.engine_model.batch(jobs)
    batch.drop(1)
    results = finish(batch)
    assert sorted(results) == [0, 2]
    assert [text.tokenizer.decode(one.tokens) for one in results[2]] == text.generate(3, seed=7)


def test_logits_that_are_not_finite_cause_an_error_saying_so() -> None:
    result = train(["ab"], model=ModelConfig(init_std=0.1), config=TrainConfig(steps=1))
    huge = {name: [[3e38] * len(row) for row in rows] for name, rows in result.weights.items()}
    object.__setattr__(result, "weights", huge)
    model = InferenceGpt(result)
    error = finish(model.engine_model.batch([model.text_job()]))[0]
    assert isinstance(error, PromptError)
    assert "not finite" in str(error)
    with pytest.raises(PromptError, match="not finite"):
        [*model.log_probabilities(model.opening("a"))]
