"""Work for one model that comes from many sides: jobs, and batches of them.

A job has prompts, each of which is continued once for each of its seeds. Jobs with the same rules
can share a batch, which works on all of their sequences side by side, a few milliseconds at a time:
whoever runs it can look up in between, take what is done, drop what nobody wants any more, and turn
to another batch. What comes of a job does not depend on the others: it is what
`InferenceGpt.samples` and `InferenceGpt.reply` return. `replies` is for one caller with many
prompts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, repeat
from threading import Event

from microgpt.config import DEFAULT_SEED, Sampling, check_count, check_seed, check_threads
from microgpt.data.chat_truncation import ChatPrompt
from microgpt.engine import mersenne
from microgpt.engine.decoding.decoder import DecodeArrays, Decoder
from microgpt.engine.decoding.sequences import FULL, RUNNING, STOPPED
from microgpt.engine.threads import map_in_threads
from microgpt.errors import PromptError
from microgpt.inference import InferenceGpt
from microgpt.sampling import FinishReason

MOST_TOKENS = 2**20  # of all sequences of a batch, when they are as long as they can be
REASONS: dict[int, FinishReason] = {STOPPED: "stop", FULL: "length"}
REPLIES = 512  # that are asked for together: more are no faster, and progress could not be seen


@dataclass(frozen=True)
class Rules:
    """How sequences are continued; see `sampling.decode`."""

    stop: tuple[int, ...]
    forbidden: tuple[int, ...] = ()
    min_tokens: int = 0
    max_tokens: int | None = None
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True)
class Job:
    """Prompts, each of which is continued once for each seed."""

    prompts: Sequence[Sequence[int]]
    seeds: range
    rules: Rules

    @property
    def n_sequences(self) -> int:
        """The number of continuations: those of the first prompt come first."""
        return len(self.prompts) * len(self.seeds)


@dataclass(frozen=True)
class Continuation:
    """What follows a prompt; finish_reason is None while more is to come."""

    tokens: list[int]
    finish_reason: FinishReason | None
    stop_token: int | None = None


def text_job(
    model: InferenceGpt,
    num_samples: int = 1,
    *,
    prompts: Sequence[str | Sequence[int]] = ("",),
    sampling: Sampling | None = None,
    max_tokens: int | None = None,
    seed: int = DEFAULT_SEED,
) -> Job:
    """Return the work behind `InferenceGpt.samples`, for prompts that `InferenceGpt.opening` takes.

    Raises:
        PromptError: a prompt does not fit into the context.
        TokenizerError: a prompt has a character that the model does not know.
        ConfigError: a setting is outside its range.
    """
    check_count("num_samples", num_samples)
    check_seed(seed)
    openings = [model.opening(prompt) for prompt in prompts]
    for tokens in openings:
        model.check_prompt(tokens, max_tokens)
    rules = Rules(
        stop=tuple(model.tokenizer.special_ids),
        max_tokens=max_tokens,
        sampling=sampling or Sampling(),
    )
    return Job(openings, range(seed, seed + num_samples), rules)


def reply_job(
    model: InferenceGpt,
    prompt: ChatPrompt,
    num_replies: int = 1,
    *,
    sampling: Sampling | None = None,
    max_tokens: int | None = None,
    seed: int = DEFAULT_SEED,
) -> Job:
    """Return the work behind `InferenceGpt.reply`, for replies with the seeds from `seed` on.

    Raises:
        ConfigError: a setting is outside its range.
    """
    check_count("num_replies", num_replies)
    check_seed(seed)
    model.check_prompt(prompt.tokens, max_tokens)
    end_turn, special = model.tokenizer.end_turn_id, model.tokenizer.special_ids
    rules = Rules(
        stop=(end_turn,),
        forbidden=tuple(token for token in special if token != end_turn),
        min_tokens=1,
        max_tokens=max_tokens,
        sampling=sampling or Sampling(),
    )
    first = seed + prompt.n_replies
    return Job([prompt.tokens], range(first, first + num_replies), rules)


class Batch:
    """Jobs with the same rules in work, for one thread at a time.

    Attributes:
        open: the numbers of the jobs that are neither done nor dropped.
    """

    def __init__(
        self, model: InferenceGpt, jobs: Sequence[Job], arrays: DecodeArrays | None = None
    ) -> None:
        """Begin; the smaller jobs come first where not all sequences can be in work at once.

        The arrays are those of a batch of the same model in which nothing is open any more.
        """
        rules = jobs[0].rules
        numbers = sorted(range(len(jobs)), key=lambda number: jobs[number].n_sequences)
        ends = list(accumulate(jobs[number].n_sequences for number in numbers))
        self.open = {
            number: slice(end - jobs[number].n_sequences, end)
            for number, end in zip(numbers, ends, strict=True)
        }
        compiled = model.compiled
        self._decoder = Decoder(
            compiled.config,
            compiled.dtype,
            compiled.decode_weights,
            [
                tokens
                for number in numbers
                for prompt in jobs[number].prompts
                for tokens in repeat(prompt, len(jobs[number].seeds))
            ],
            stop=rules.stop,
            forbidden=rules.forbidden,
            min_tokens=rules.min_tokens,
            max_tokens=rules.max_tokens,
            sampling=rules.sampling,
            arrays=arrays,
        )
        if rules.sampling.temperature:
            per_prompt = (repeat(jobs[n].seeds, len(jobs[n].prompts)) for n in numbers)
            seeds = list(chain.from_iterable(chain.from_iterable(per_prompt)))
            uniforms = self._decoder.uniforms
            uniforms[:] = mersenne.uniforms(seeds, uniforms.shape[1])

    @property
    def arrays(self) -> DecodeArrays:
        """What it works in, for another batch when nothing is open any more."""
        return self._decoder.arrays

    def run(self) -> list[tuple[int, list[Continuation] | PromptError]]:
        """Work for about 20 ms; return the jobs that have come to their end, by number.

        A PromptError is why a job could not go on.
        """
        if self.open:
            self._decoder.run()
        status = self._decoder.sequences.status.tolist()
        ended = [number for number, rows in self.open.items() if RUNNING not in status[rows]]
        return [(number, self._result(self.open.pop(number))) for number in ended]

    def so_far(self, number: int) -> list[Continuation]:
        """Return what an open job has come to."""
        return self._continuations(self.open[number])

    def drop(self, number: int) -> None:
        """Work on a job no longer."""
        self._decoder.sequences.status[self.open.pop(number)] = FULL

    def _result(self, rows: slice) -> list[Continuation] | PromptError:
        for i in range(rows.start, rows.stop):
            try:
                self._decoder.check(i)
            except PromptError as error:
                return error
        return self._continuations(rows)

    def _continuations(self, rows: slice) -> list[Continuation]:
        s = self._decoder.sequences
        return [
            Continuation(
                s.tokens[i, s.n_prompt[i] : s.n_tokens[i]].tolist(),
                REASONS.get(s.status[i]),
                int(s.tokens[i, s.n_tokens[i]]) if s.status[i] == STOPPED else None,
            )
            for i in range(rows.start, rows.stop)
        ]


def replies(
    model: InferenceGpt,
    prompts: Sequence[ChatPrompt],
    *,
    sampling: Sampling | None = None,
    seed: int = DEFAULT_SEED,
    threads: int = 1,
) -> Iterator[Continuation]:
    """Yield the reply to each prompt, as `InferenceGpt.reply` gives it, many at a time.

    Args:
        model: a chat model.
        prompts: of conversations that have nothing to do with each other.
        sampling: see `InferenceGpt.reply`, as seed.
        seed: see there.
        threads: how many to use; the replies are the same.

    Raises:
        ConfigError: a setting is outside its range.
        PromptError: the model's scores are not finite.
    """
    check_threads(threads)
    jobs = [reply_job(model, prompt, sampling=sampling, seed=seed) for prompt in prompts]

    def work(part: Sequence[Job], should_stop: Event) -> list[list[Continuation] | PromptError]:
        batch = Batch(model, part)
        results: dict[int, list[Continuation] | PromptError] = {}
        while batch.open and not should_stop.is_set():
            results.update(batch.run())
        return [results[number] for number in sorted(results)]

    size = min(REPLIES, most_rows(model), -(-len(jobs) // threads) or 1)
    parts = [jobs[i : i + size] for i in range(0, len(jobs), size)]
    for results in map_in_threads(work, parts, threads):
        for result in results:
            if isinstance(result, PromptError):
                raise result
            yield from result


def most_rows(model: InferenceGpt) -> int:
    """Return how many sequences a batch should have at the most, for the memory that they take."""
    return max(1, MOST_TOKENS // model.config.block_size)
