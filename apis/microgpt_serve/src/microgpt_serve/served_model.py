"""A loaded model, and what the service tells about it."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np

from microgpt.config import TextKind, Use
from microgpt.data.folding import FoldingTokenizer
from microgpt.engine.decoding.decoder import context_bytes
from microgpt.evaluation.scoring import Scorer
from microgpt.inference import InferenceGpt
from microgpt.model_config import count_params
from microgpt.printable import printable
from microgpt.storage.calibration_file import Calibration, read_calibration
from microgpt.storage.document_hashes import DocumentHashes, read_document_hashes
from microgpt.storage.saved_model import SavedModel
from microgpt.training.engines import prepare_engine
from microgpt_serve.schemas import MAX_NEW_TOKENS, ModelResponse
from microgpt_serve.work_queue import MAX_TURNS

MAX_CONTEXT_BYTES = 2**25  # memory for one full context of a model with fewer bytes of weights
MAX_READ_BYTES = 2**26  # memory for reading tokens in one step, but twice that for ALWAYS_READ
ALWAYS_READ = 1024  # tokens; they take about 50 MiB in a model of 4 layers of 96
VERSION_DIGITS = 12
MAX_EXAMPLES = 8  # number of examples that are shown
USES: tuple[Use, ...] = ("generation", "evaluation")  # log-probabilities require "evaluation"


@dataclass(frozen=True)
class ServedModel:
    """A loaded model and its metadata. A reload replaces the whole object."""

    name: str  # given, or the printable base name of the directory; "demo" for the bundled model
    version: str  # first 12 hexadecimal digits of the SHA-256 of the weights
    gpt: InferenceGpt
    created_at: str | None
    text: TextKind = "lines"  # the kind of text that the model was trained on
    generates: bool = True  # whether it has learned to write texts, not only replies
    examples: tuple[str, ...] = ()  # messages that the page of a chat model offers
    progress: str | None = None  # such as "at step 400 of 1000" for an unfinished run
    is_demo: bool = False
    max_turns: int = MAX_TURNS  # number of works, such as explanations, that may take turns
    scorer: Scorer | None = None  # None for a chat model
    calibration: Calibration | None = None  # of the scores, if the model has one
    documents: DocumentHashes | None = None  # the training documents, if the model has their hashes

    @property
    def description(self) -> ModelResponse:
        """Response to GET /microgpt/v1/model."""
        gpt = self.gpt
        return ModelResponse(
            name=self.name,
            version=self.version,
            chat=gpt.tokenizer.is_chat,
            answers_few=gpt.known_questions is not None,
            generates=self.generates,
            examples=[*self.examples],
            num_params=gpt.num_params,
            **asdict(gpt.config),
            dtype=gpt.compiled.dtype,
            tokenizer=gpt.tokenizer.kind,
            characters="".join(gpt.tokenizer.chars or ()),
            fold=isinstance(gpt.tokenizer, FoldingTokenizer),
            created_at=self.created_at,
            progress=self.progress,
        )

    @cached_property
    def html(self) -> bytes:
        """The model in one HTML file."""
        from microgpt_serve.html_file import html_file  # most services never need it

        return html_file(self)

    def max_new_tokens(self, wanted: int | None) -> int | None:
        """Return the maximum number of new tokens; None means as many as fit in the context."""
        if not wanted and self.gpt.config.block_size <= MAX_NEW_TOKENS:
            return None
        return min(wanted or MAX_NEW_TOKENS, MAX_NEW_TOKENS)

    def __str__(self) -> str:
        kind = "chat" if self.gpt.tokenizer.is_chat else "text"
        return f"{self.name} ({kind}, {self.gpt.num_params:,} weights, version {self.version})"


def name_of(path: str | os.PathLike[str]) -> str:
    """Return the name of the model in a directory, unless another one is given."""
    return printable(os.path.basename(os.path.abspath(path))) or "model"


def served_model(
    saved: SavedModel, path: str | os.PathLike[str], log: Callable[[str], None]
) -> ServedModel:
    """Return the model in a directory, and compile the engine; pass messages to `log`."""
    gpt = InferenceGpt(_within_memory(saved, log))
    prepare_engine("compiled", saved.dtype, uses=USES, tell=log)
    _ = gpt.compiled.decode_weights
    is_chat = saved.tokenizer.is_chat
    usual = gpt.compiled.tokens_within(MAX_READ_BYTES)
    longest = min(ALWAYS_READ, gpt.compiled.tokens_within(2 * MAX_READ_BYTES))
    gpt.compiled.max_at_once = max(usual, longest)
    return ServedModel(
        name=name_of(path),
        version=saved.sha256[:VERSION_DIGITS],
        gpt=gpt,
        created_at=_valid_time(saved.meta.created_at),
        text=saved.text,
        generates=not is_chat or (saved.loss_on == "all" and not saved.known_questions),
        examples=(saved.meta.examples or ())[:MAX_EXAMPLES],
        scorer=None if is_chat else Scorer(gpt, text=saved.text),
        calibration=read_calibration(Path(path), saved.meta),
        documents=None if is_chat else read_document_hashes(Path(path), saved.meta),
        progress=saved.progress,
        max_turns=MAX_TURNS if usual >= longest else 1,
    )


def _within_memory(saved: SavedModel, log: Callable[[str], None]) -> SavedModel:
    """Shorten the context of a rotary model if one context takes too much memory."""
    model = saved.model
    n_bytes = context_bytes(model, saved.dtype)
    limit = max(MAX_CONTEXT_BYTES, count_params(model) * np.dtype(saved.dtype).itemsize)
    if model.positions != "rotary" or n_bytes <= limit:
        return saved
    length = max(1, model.block_size * limit // n_bytes)
    log(
        f"the context of {model.block_size:,} tokens would take {n_bytes / 2**20:,.0f} MiB; "
        f"using {length:,} tokens"
    )
    return replace(saved, model=replace(model, block_size=length))


def _valid_time(text: str | None) -> str | None:
    try:
        return text if text and datetime.fromisoformat(text).timestamp() >= 0 else None
    except (ValueError, OverflowError):
        return None
