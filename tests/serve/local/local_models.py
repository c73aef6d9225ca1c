"""Draw models at random, and write their local files, requests and the answers of the service.

    python local_models.py N KERNELS RESULT.json

The answers are those of the rounding that the environment selects.
"""

import asyncio
import base64
import json
import random
import string
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np

from microgpt import BpeTokenizer, InferenceGpt, Message, ModelConfig, TrainConfig
from microgpt.data.folding import FoldingTokenizer
from microgpt.data.tokenizer import CharTokenizer, Tokenizer
from microgpt.engine.wasm import TRAINING
from microgpt.model import weight_shapes
from microgpt.model_variants import init_variant
from microgpt.questions.known_questions import KnownQuestions
from microgpt.state import TrainedModel
from microgpt_serve import Settings, create_app
from microgpt_serve.local_file import engine_file, model_file
from microgpt_serve.served_model import ServedModel

CHARS = string.ascii_lowercase + " .?'\nÄéß☃😀"
TEXT = "it's a small world, isn't it? naïve ☃☃☃ 日本語 日本語 😀😀 we've we've"
# Fields out of their range; the service refuses each with a message that names it.
INVALID = [
    {"num_samples": 0}, {"num_samples": 51}, {"num_samples": 1.5}, {"num_samples": "2"},
    {"temperature": -0.5}, {"temperature": "hot"}, {"seed": -1}, {"seed": 0.5}, {"top_k": 0},
    {"top_p": 1.5}, {"top_p": -1}, {"max_tokens": 0}, {"max_tokens": 16385}, {"top_k": 2**31},
    {"prompt": "a" * (2**17 + 1)}, {"prompt": "a" * 30_000, "num_samples": 50},
]  # fmt: skip
REPLY = {"role": "assistant", "content": ""}
Request = tuple[str, dict[str, Any]]  # path and body


class Drawn(TrainedModel):
    """A model with settings of a training step."""

    @property
    def config(self) -> TrainConfig:
        return TrainConfig(
            lr=0.004,
            optimizer="muon" if self.model.n_layer == 2 else "adamw",
            weight_decay=0.1 * (self.model.n_head % 2),
            loss_on="all" if self.model.n_ff_exp == 3 else "assistant",
        )


class Knowing(Drawn):
    """A model that has learned few questions."""

    known_questions = KnownQuestions(
        ((Message("user", "where is it"), Message("assistant", "here.")),), "no idea", suggests=True
    )


def tokenizer_of(rng: random.Random, *, is_chat: bool) -> Tokenizer:
    kind = rng.choice(("char", "fold", "bpe"))
    if kind == "bpe":
        learned = BpeTokenizer.from_documents([TEXT] * 3, rng.randint(260, 300))
        return BpeTokenizer(learned.file or b"", is_chat=is_chat)
    if kind == "fold":
        chars = rng.sample(string.ascii_lowercase + " .'", rng.randint(4, 29))
        return FoldingTokenizer(chars, is_chat=is_chat)
    return CharTokenizer(rng.sample(CHARS, rng.randint(1, len(CHARS))), is_chat=is_chat)


def config_of(rng: random.Random, tokenizer: Tokenizer) -> ModelConfig:
    n_head, head_dim = rng.randint(1, 5), rng.randint(1, 9)
    return ModelConfig(
        n_embd=n_head * head_dim,
        n_head=n_head,
        n_layer=rng.randint(1, 3),
        block_size=rng.randint(*rng.choice(((1, 3), (4, 40), (40, 120), (40, 120)))),
        n_ff_exp=rng.randint(1, 5),
        vocab_size=tokenizer.vocab_size,
        init_std=rng.choice((0.1, 0.4, 0.8)),
        positions=rng.choice(("learned", "rotary") if head_dim % 2 == 0 else ("learned",)),
        token_shift=rng.random() < 0.4,
        activation=rng.choice(("relu", "relu2")),
        qk_norm=rng.random() < 0.4,
        final_norm=rng.random() < 0.5,
        out_scale=rng.choice((1.0, 0.5)),
    )


def served_model(rng: random.Random, dtype: str) -> ServedModel:
    """Return an untrained model; its weights are exact in a dtype."""
    is_chat = rng.random() < 0.5
    tokenizer = tokenizer_of(rng, is_chat=is_chat)
    config = config_of(rng, tokenizer)
    weights = init_variant(config, rng)
    exact = {name: np.array(rows, dtype).tolist() for name, rows in weights.items()}
    knows = is_chat and isinstance(tokenizer, BpeTokenizer) and rng.random() < 0.5
    trained = (Knowing if knows else Drawn)(config, exact, tokenizer, "float32")
    return ServedModel(
        name="drawn",
        version="0",
        gpt=InferenceGpt(trained),
        created_at=None,
        text=rng.choice(("lines", "stream")),
    )


def requests_of(rng: random.Random, served: ServedModel) -> Iterator[Request]:
    tokenizer, config = served.gpt.tokenizer, served.gpt.config
    chars = tokenizer.chars or "we've isn't naïve☃日本語😀"

    def text(most: int) -> str:
        return "".join(rng.choices(chars, k=rng.randint(0, most)))

    def sampling(**others: Any) -> dict[str, Any]:
        found = {
            "temperature": rng.choice((0, 0.3, 0.5, 1, 1.0, 3.5)),
            "seed": rng.choice((0, 1, 42, 2**32, 2**53 - 1, rng.randrange(2**53))),
            "max_tokens": rng.choice((None, None, 1, 7, 2 * config.block_size + 3)),
            "top_k": rng.choice((None, None, 1, 3, 10_000)),
            "top_p": rng.choice((None, None, 0.0, 0.5, 0.95)),
            **others,
        }
        return {name: value for name, value in found.items() if value is not None}

    for n in (1, 3, 50):
        prompt = text(rng.choice((0, 3, config.block_size + 5)))
        yield "microgpt/v1/generate", sampling(num_samples=n, prompt=prompt, known=n == 3)
    yield "microgpt/v1/generate", rng.choice(INVALID)
    yield "microgpt/v1/explain", {"text": "a", "top": 21}
    yield "microgpt/v1/explain", {"text": "a" * 4097}
    tokens = rng.choices(range(tokenizer.vocab_size), k=rng.randint(1, config.block_size))
    yield "v1/completions", {"prompt": tokens, "echo": True, "max_tokens": 0, "logprobs": 0}
    yield "v1/completions", sampling(prompt=tokens[:-1] or tokens, stream=True)
    heads = [[rng.randrange(config.n_layer), rng.randrange(config.n_head)] for _ in range(2)]
    for most in (3, 20, 100):
        details = rng.choice(({}, {"attention": heads}, {"position": rng.randint(-2, 2)}))
        yield "microgpt/v1/explain", {"text": text(most), "top": rng.randint(0, 20), **details}
        yield "microgpt/v1/explain", {"text": text(most), **edits_of(rng, config)}
    for most in (3, 20):
        details = {"ablations": True, "position": rng.randint(-2, 2)} if most == 3 else {}
        matrix, shape = rng.choice([*weight_shapes(config).items()])
        weight = matrix, *map(rng.randrange, shape)
        end = {"unfinished": most == 20}
        yield "microgpt/v1/explain", {"text": text(most), "backward": weight, **details, **end}
        yield "microgpt/v1/explain", {"text": text(most), "ablations": True, **end}
        changes = {**edits_of(rng, config), "learn": [{"text": text(5), **end}]}
        yield "microgpt/v1/generate", sampling(num_samples=3, **changes, max_tokens=4)
    for n in (1, 2, 3, 5) if tokenizer.is_chat else (1,):
        contents = [text(12) + rng.choice("éÄ x😀☃") for _ in range(n)]
        if n == 5 and served.gpt.known_questions:  # whose seed counts the replies before it
            contents[-1] = "where is it"
        messages = [
            {"role": ("user", "assistant")[i % 2], "content": content}
            for i, content in enumerate(contents)
        ]
        yield "microgpt/v1/explain", {"messages": messages, "position": 0, "attention": heads}
        weight = "lm_head", tokenizer.vocab_size - 1, 0
        yield "microgpt/v1/explain", {"messages": messages, "position": -1, "backward": weight}
        if n % 2:
            changes = {**edits_of(rng, config), "learn": [{"messages": [*messages, REPLY]}]}
            yield (
                "microgpt/v1/chat",
                sampling(messages=messages, **changes, max_tokens=4, top_k=None, top_p=None),
            )
            min_p = rng.choice((None, 0.1))
            yield (
                "v1/chat/completions",
                sampling(messages=messages, min_p=min_p, stream=True),
            )


def edits_of(rng: random.Random, config: ModelConfig) -> dict[str, Any]:
    """Return changes to a model, a few of which it does not allow."""
    shapes = weight_shapes(config)
    shapes = shapes | {"wpe": (config.block_size, config.n_embd)}

    def weight() -> dict[str, Any]:
        name = rng.choice([*shapes, "layer9.attn_wq"] if rng.random() < 0.1 else [*shapes])
        n_rows, n_columns = shapes.get(name, (1, 1))
        kind, number = rng.choice((("value", rng.uniform(-2, 2)), ("factor", rng.randint(-4, 4))))
        row = rng.randrange(n_rows + (rng.random() < 0.1))
        return {"matrix": name, "row": row, "column": rng.randrange(n_columns), kind: number}

    def below(n: int) -> int:
        return rng.randrange(n + (rng.random() < 0.1))

    kinds = {
        "without_heads": [[below(config.n_layer), below(config.n_head)] for _ in range(2)],
        "without_mlps": [below(config.n_layer)],
        "without_positions": [below(config.block_size)] if config.n_positions else [],
        "weights": [weight() for _ in range(3)],
    }
    return {name: found for name, found in kinds.items() if rng.random() < 0.5}


async def answers(served: ServedModel, requests: list[Request]) -> list[Any]:
    """Return the answer of the service to each request: JSON, or the events of a stream."""
    app = create_app(Settings(timeout_s=300), served)  # a first request may compile
    transport = httpx.ASGITransport(app)
    found = []
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        for path, body in requests:
            reply = await client.post(f"/{path}", json=body)
            lines = reply.text.splitlines()
            events = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
            found.append(events or reply.json())
    return found


def case(number: int, kernels: dict[str, bytes]) -> dict[str, Any]:
    """Return a model's local file, and requests with their answers."""
    rng = random.Random(number)
    dtype = rng.choice(("float16", "float32"))
    served = served_model(rng, dtype)
    requests = list(requests_of(rng, served))
    facts, parts = model_file(served, dtype=dtype)
    engine, modules = engine_file(kernels)
    facts, parts = {**engine, **facts}, {**modules, **parts}
    return {
        "facts": facts,
        "parts": {name: base64.b64encode(part).decode() for name, part in parts.items()},
        "requests": requests,
        "answers": asyncio.run(answers(served, requests)),
    }


if __name__ == "__main__":
    n, folder, result = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    kernels = {name: (folder / f"{name}-{dtype}.wasm").read_bytes() for name, dtype in TRAINING}
    result.write_text(json.dumps([case(number, kernels) for number in range(n)]))
