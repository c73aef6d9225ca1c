"""Log-probabilities of the tokens of choices, computed in steps while the choices grow."""

from collections.abc import Iterator, Sequence
from heapq import nlargest

from microgpt.engine.decoding.reader import TokenReader
from microgpt.inference import InferenceGpt
from microgpt.sampling import Job
from microgpt.steps import Steps
from microgpt_serve.errors import ServeError
from microgpt_serve.routes.openai.choice import GeneratedChoice, Likely, TextUpdate
from microgpt_serve.schemas import MAX_ALTERNATIVES


class LogProbabilities:
    """Computes the log-probabilities of a response."""

    def __init__(self, gpt: InferenceGpt, job: Job, n_top: int, *, is_stream: bool) -> None:
        """Prepare the choices of a job, with the n_top most likely tokens at each position."""
        self._gpt, self._job, self._n_top, self._is_stream = gpt, job, n_top, is_stream
        self._readers: dict[int, TokenReader] = {}  # by choice; only used for a stream

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

    def add_to(self, choice: GeneratedChoice, update: TextUpdate) -> Steps[TextUpdate]:
        """Return an update to a choice with the log-probabilities at its tokens."""
        likely: list[Likely] = []
        for token, row in zip(update.tokens, self._rows(choice, update), strict=True):
            found = row and {one: row[one] for one in most_likely(row, self._n_top, token)}
            likely.append(found or None)
            yield
        return update._replace(likely=likely)

    def _rows(self, choice: GeneratedChoice, update: TextUpdate) -> Iterator[list[float] | None]:
        """Yield the log-probabilities of all tokens at the position of each new one."""
        if not update.tokens:
            return
        known = len(choice.prompt) + len(choice.tokens) + (choice.stop_token is not None)
        first = known - len(update.tokens) - 1  # position before the first new token
        read = [*choice.prompt, *choice.tokens][: known - 1]
        if first < 0:
            yield None
            first = 0
        if not self._is_stream:
            yield from self._gpt.log_probability_rows(read, first) if read else ()
            return
        reader = self._readers.get(choice.index)
        if reader is None and read:
            n_left = len(choice.prompt) + self._most_new(choice.prompt) - first
            reader = TokenReader(self._gpt.compiled, read[: first + 1], n_left)
            self._readers[choice.index] = reader
            yield reader.read().tolist()
        if reader:
            for token in read[reader.n_read :]:
                yield reader.read(token).tolist()

    def _most_new(self, prompt: Sequence[int]) -> int:
        return self._job.rules.max_tokens or self._gpt.config.block_size - len(prompt) + 1


def most_likely(row: Sequence[float], n: int, token: int) -> list[int]:
    """Return the n most likely tokens, plus `token` if missing. The lowest id wins ties."""
    tokens = nlargest(n, range(len(row)), key=row.__getitem__)
    return tokens if token in tokens else [*tokens, token]
