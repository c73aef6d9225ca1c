"""Log-probabilities of the tokens of choices, computed in steps while the choices grow."""

from collections.abc import Iterator, Sequence
from heapq import nlargest

from microgpt.engine.decoding.decoder import MAX_ROWS, TokenReader, reader_bytes
from microgpt.inference import InferenceGpt
from microgpt.sampling import Job
from microgpt.steps import Steps
from microgpt_serve.app_state import MAX_READER_BYTES
from microgpt_serve.errors import ServeError
from microgpt_serve.routes.openai.choice import GeneratedChoice, Likely, TextUpdate
from microgpt_serve.schemas import MAX_ALTERNATIVES

READING: list[float] = []  # instead of a row: a part of the prompt has been read


class LogProbabilities:
    """Computes the log-probabilities of a response."""

    def __init__(self, gpt: InferenceGpt, job: Job, n_top: int, *, is_stream: bool) -> None:
        """Prepare to compute the n_top most likely tokens at each position of a job's choices."""
        self._gpt, self._job, self._n_top, self._is_stream = gpt, job, n_top, is_stream
        self._readers: dict[int, TokenReader] = {}  # by unfinished choice

    def check_size(self, echoes: Sequence[Sequence[int]], *, has_new: bool) -> None:
        """Raise ServeError if the response could have too many likely tokens."""
        n_new = sum(map(self._most_new, self._job.prompts)) if has_new else 0
        n = len(self._job.seeds) * (n_new + sum(map(len, echoes)))
        if (n_likely := n * max(1, self._n_top)) > MAX_ALTERNATIVES:
            message = (
                f"up to {n_likely} log-probabilities ({n} tokens) could be returned; at most "
                f"{MAX_ALTERNATIVES} are allowed; reduce max_tokens or n"
            )
            raise ServeError(400, message, field="logprobs")
        n_read = len(self._job.seeds) * sum(map(len, self._job.prompts))
        if n_read > MAX_ALTERNATIVES:
            message = (
                f"with logprobs, n times the tokens of the prompts must be <= {MAX_ALTERNATIVES}, "
                f"got {n_read}; reduce n or use shorter prompts"
            )
            raise ServeError(400, message, field="logprobs")
        if (n_bytes := self.n_bytes) > MAX_READER_BYTES and self._job.n_sequences > 1:
            message = (
                f"streams with logprobs may use {MAX_READER_BYTES // 2**20} MiB, but up to "
                f"{n_bytes // 2**20} MiB would be needed; reduce max_tokens or n, or omit stream"
            )
            raise ServeError(400, message, field="logprobs")

    @property
    def n_bytes(self) -> int:
        """Maximum memory in bytes that the `TokenReader`s of a stream use; 0 without a stream."""
        if not self._is_stream:
            return 0
        compiled, n = self._gpt.compiled, len(self._job.seeds)
        sizes = (len(prompt) + self._most_new(prompt) for prompt in self._job.prompts)
        return n * sum(reader_bytes(compiled.config, compiled.dtype, size) for size in sizes)

    def add_to(self, choice: GeneratedChoice, update: TextUpdate) -> Steps[TextUpdate]:
        """Return an update to a choice with the log-probabilities of its tokens."""
        likely: list[Likely] = []
        for row in self._rows(choice, update):
            if row is not READING:
                token = update.tokens[len(likely)]
                found = row and {one: row[one] for one in most_likely(row, self._n_top, token)}
                likely.append(found or None)
            yield
        if choice.finish_reason:
            self._readers.pop(choice.index, None)
        return update._replace(likely=likely)

    def _rows(self, choice: GeneratedChoice, update: TextUpdate) -> Iterator[list[float] | None]:
        """Yield the log-probabilities of the whole vocabulary at the position of each new token."""
        if not update.tokens:
            return
        known = len(choice.prompt) + choice.n_tokens + (choice.stop_token is not None)
        first = known - len(update.tokens) - 1  # position before the first new token
        read = [*choice.prompt, *choice.tokens][: known - 1]
        if first < 0:
            yield None
            first = 0
        limit = self._gpt.compiled.max_at_once
        is_long = limit and min(len(read), self._gpt.config.block_size) > limit
        if not (self._is_stream or is_long):
            yield from self._gpt.log_probability_rows(read, first) if read else ()
            return
        reader = self._readers.get(choice.index)
        if reader is None and read:
            start, n_most = read[: first + 1][:MAX_ROWS], len(read)
            if self._is_stream:
                n_most = len(choice.prompt) + self._most_new(choice.prompt)
            reader = TokenReader(self._gpt.compiled, start, n_most - len(start))
            self._readers[choice.index] = reader
            row = reader.read()
            while (n := reader.n_read) <= first:
                yield READING
                row = reader.read(*read[n : min(n + MAX_ROWS, first + 1)])
            yield row.tolist()
        if reader:
            for token in read[reader.n_read :]:
                yield reader.read(token).tolist()

    def _most_new(self, prompt: Sequence[int]) -> int:
        return self._job.rules.max_tokens or self._gpt.config.block_size - len(prompt) + 1


def most_likely(row: Sequence[float], n: int, token: int) -> list[int]:
    """Return the n most likely tokens, plus `token` if missing. The lowest id wins ties."""
    tokens = nlargest(n, range(len(row)), key=row.__getitem__)
    return tokens if token in tokens else [*tokens, token]
