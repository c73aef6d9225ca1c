"""Binary files with which a page runs and trains models without a service: engine and model.

Each consists of a line of JSON and binary parts; `playground/local/file.js` reads it. The weights
are in the order of `weight_shapes`; the engine packs them for its kernels.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Literal, NamedTuple

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.bpe import BpeTokenizer
from microgpt.engine import wasm
from microgpt.engine.buffers import Buffers
from microgpt.engine.decoding.arrays import Rows
from microgpt.model_variants import angles
from microgpt.questions import matching
from microgpt.questions.known_questions import LEAST_SIMILAR, N_SUGGESTED, KnownQuestions
from microgpt.storage.weights_file import tensors_of
from microgpt_serve.served_model import ServedModel

LAYOUT: Mapping[str, type[NamedTuple]] = {"rows": Rows, "buffers": Buffers}


class LocalFile(NamedTuple):
    """The content of a file: metadata, and binary parts by name."""

    facts: Mapping[str, object]
    parts: Mapping[str, bytes]

    def packed(self) -> bytes:
        """Return a line of JSON with the metadata, followed by the bytes of each part."""
        sizes = {name: len(part) for name, part in self.parts.items()}
        facts = json.dumps({**self.facts, "sizes": sizes})
        return facts.encode() + b"\n" + b"".join(self.parts.values())


def engine_file(kernels: Mapping[str, bytes]) -> LocalFile:
    """Return the file of the engine, which can run and train any model.

    Training settings that the user does not change are Karpathy's.

    Args:
        kernels: modules of `wasm.TRAINING` by the names of their kernels; see `wasm.modules`.
    """
    facts = {
        "defaults": {"model": asdict(ModelConfig()), "config": asdict(TrainConfig())},
        "layout": {
            name: {each: list(kind.__metadata__) for each, kind in arrays.__annotations__.items()}
            for name, arrays in LAYOUT.items()
        },  # the names of the dimensions of each array
    }
    return LocalFile(facts, kernels)


@cache
def packed_engine() -> bytes:
    """Return the packed file of an engine with all kernels.

    Raises:
        ConfigError: there are no modules, and the compiler is missing or fails.
    """
    return engine_file(wasm.modules(wasm.TRAINING)).packed()


def model_file(
    served: ServedModel, *, dtype: Literal["float16", "float32"] = "float32"
) -> LocalFile:
    """Return the file of a model.

    Args:
        dtype: type of the stored weights; the engine computes in float32.

    Raises:
        CheckpointError: a weight is too large for the dtype.
    """
    gpt = served.gpt
    weights = tensors_of(gpt.config, gpt.weights, dtype).values()
    known, tokenizer = gpt.known_questions, gpt.tokenizer
    facts: dict[str, object] = {
        "model": served.description.model_dump(),
        "text": served.text,
        "dtype": dtype,
        "rates": angles(gpt.config, 1),
        "step": asdict(gpt.step_config),
        "bpe": bpe_facts(tokenizer) if isinstance(tokenizer, BpeTokenizer) else None,
        "questions": question_facts(known) if known else None,
    }
    return LocalFile(facts, {"weights": b"".join(each.tobytes() for each in weights)})


def bpe_facts(tokenizer: BpeTokenizer) -> dict[str, object]:
    """Return the bytes of each piece as characters up to U+00FF, and the merges."""
    assert tokenizer.file
    model = json.loads(tokenizer.file)["model"]
    merges = [model["vocab"][piece] for merge in model["merges"] for piece in merge]
    names = tokenizer.piece_names
    pieces = [name.decode("latin-1") for name in names if isinstance(name, bytes)]
    return {"pieces": pieces, "merges": merges}


def question_facts(known: KnownQuestions) -> dict[str, object]:
    """Return the questions that a model knows, and the data for matching them."""
    m = matching
    return {
        "conversations": [[message.content for message in talk] for talk in known.conversations],
        "reply": known.reply,
        "confidence": known.confidence,
        "suggests": known.suggests,
        "nSuggested": N_SUGGESTED,
        "leastSimilar": LEAST_SIMILAR,
        "matching": {
            "maxCharacters": m.MAX_CHARACTERS, "maxWords": m.MAX_WORDS, "endings": m.ENDINGS,
            "leastStem": m.LEAST_STEM, "leastEqual": m.LEAST_EQUAL, "form": m.FORM,
            "synonym": m.SYNONYM, "beginning": m.BEGINNING, "misspelled": m.MISSPELLED,
            "leastBeginning": m.LEAST_BEGINNING, "answer": m.ANSWER, "function": m.FUNCTION,
            "unknown": m.UNKNOWN, "common": m.COMMON, "coverage": m.COVERAGE,
            "evidence": m.EVIDENCE, "functionWords": sorted(m.FUNCTION_WORDS),
            "commonWords": sorted(m.COMMON_WORDS), "synonyms": m.SYNONYMS,
        },
    }  # fmt: skip
