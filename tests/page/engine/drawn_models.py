"""Draw N random models, and write their files, requests, and the library's answers.

    python drawn_models.py N FOLDER RESULT.json  # FOLDER has the kernels in WebAssembly

Numba's environment variables, which the fixture `runs` sets, determine how answers are rounded.
"""

import base64
import gc
import json
import random
import string
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from explained_by_reference import Inside, Text, ablations, backward, changed
from exported_models import TEXT, drawn_shape

from microgpt import BpeTokenizer, InferenceGpt, Message, ModelConfig
from microgpt.config import Sampling
from microgpt.data.context import ChatPrompt
from microgpt.data.folding import FoldingTokenizer
from microgpt.data.tokenizer import CharTokenizer, Document, Tokenizer
from microgpt.errors import MicrogptError, PromptError
from microgpt.model import weight_shapes
from microgpt.model_variants import init_variant
from microgpt.plugins import find_plugins
from microgpt.storage.model_metadata import SavedModel, description_of
from microgpt.surprise import explain
from microgpt.training_state import TrainedModel
from microgpt_engine.wasm import TRAINING
from microgpt_page.packed_files import engine_file, model_file

FIRST = 124  # first seed; the models of seeds 124 to 143 have all kinds of tokenizers
CHARS = string.ascii_lowercase + " .?'\nÄéß☃😀"
TALK = [{"role": "user", "content": "where is it"}, {"role": "assistant", "content": "here."}]
KNOWN = {
    "characters": {
        "askings": [[TALK[0]["content"], 0, ""]],
        "replies": [TALK[1]["content"]],
        "unknown": ["no idea"],
        "threshold": 0.5,
        "is_table": True,
        "follows": [None],
        "needs": [[]],
        "tests": [],
    }
}
REPLY = {"role": "assistant", "content": ""}
Request = tuple[str, dict[str, Any]]  # name and body of a request


def tokenizer_of(rng: random.Random, *, is_chat: bool) -> Tokenizer:
    kind = rng.choice(("char", "fold", "bpe"))
    if kind == "bpe":
        learned = BpeTokenizer.from_documents([TEXT] * 3, rng.randint(260, 300))
        return BpeTokenizer(learned.file or b"", is_chat=is_chat)
    if kind == "fold":
        chars = rng.sample(string.ascii_lowercase + " .'", rng.randint(4, 29))
        return FoldingTokenizer(chars, is_chat=is_chat)
    return CharTokenizer(rng.sample(CHARS, rng.randint(1, len(CHARS))), is_chat=is_chat)


def saved_model(rng: random.Random, dtype: str) -> SavedModel:
    """Return an untrained model whose weights are rounded to a dtype."""
    is_chat = rng.random() < 0.5
    tokenizer = tokenizer_of(rng, is_chat=is_chat)
    config = ModelConfig(vocab_size=tokenizer.vocab_size, **drawn_shape(rng.randrange(2**32)))
    weights = init_variant(config, rng)
    exact = {name: np.array(rows, dtype).tolist() for name, rows in weights.items()}
    knows = is_chat and isinstance(tokenizer, BpeTokenizer) and rng.random() < 0.5
    trained = TrainedModel(config, exact, tokenizer, "float32")
    meta = description_of(
        trained,
        lr=0.004,
        optimizer="muon" if config.n_layer == 2 else "adamw",
        weight_decay=0.1 * (config.n_head % 2),
        text=rng.choice(("lines", "stream")),
    )
    meta = meta.model_copy(update={"extra": KNOWN if knows and find_plugins("replies") else None})
    return SavedModel(config, exact, tokenizer, "float32", meta)


def requests_of(rng: random.Random, saved: SavedModel) -> Iterator[Request]:
    tokenizer, config = saved.tokenizer, saved.model
    chars = tokenizer.chars or "we've isn't naïve☃日本語😀"

    def text(most: int) -> str:
        return "".join(rng.choices(chars, k=rng.randint(0, most)))

    def sampling(**others: Any) -> dict[str, Any]:
        found = {
            "temperature": rng.choice((0, 0.3, 0.5, 1, 1.0, 3.5)),
            "seed": rng.choice((0, 1, 42, 2**32, 2**53 - 1, rng.randrange(2**53))),
            "max_tokens": rng.choice((None, None, 1, 7, 2 * config.block_size + 3)),
            "top_k": rng.choice((None, None, 1, 3, 10_000)),
            **others,
        }
        return {name: value for name, value in found.items() if value is not None}

    for n in (1, 3, 50):
        prompt = text(rng.choice((0, 3, config.block_size + 5)))
        yield "generate", sampling(num_samples=n, prompt=prompt)
    tokens = rng.choices(range(tokenizer.vocab_size), k=rng.randint(1, config.block_size))
    yield "decode", {"tokens": tokens}
    yield "continue", sampling(prompt=tokens[:-1] or tokens)
    heads = [[rng.randrange(config.n_layer), rng.randrange(config.n_head)] for _ in range(2)]
    for most in (3, 20, 100):
        details = rng.choice(({}, {"attention": heads}, {"position": rng.choice((-1, 0))}))
        yield "explain", {"text": text(most), "top": rng.randint(0, 20), **details}
        yield "explain", {"text": text(most), **edits_of(rng, config)}
    for most in (3, 20):
        details = {"ablations": True, "position": rng.choice((-1, 0))} if most == 3 else {}
        matrix, shape = rng.choice([*weight_shapes(config).items()])
        weight = matrix, *map(rng.randrange, shape)
        end = {"unfinished": most == 20}
        yield "explain", {"text": text(most), "backward": weight, **details, **end}
        yield "explain", {"text": text(most), "ablations": True, **end}
        changes = {**edits_of(rng, config), "learn": [{"text": text(5), **end}]}
        yield "generate", sampling(num_samples=3, **changes, max_tokens=4)
    for n in (1, 2, 3, 5) if tokenizer.is_chat else ():
        contents = [text(12) + rng.choice("éÄx😀☃") for _ in range(n)]
        if n > 2 and saved.extra:  # a question that the character can answer
            contents[-1] = "where is it"
        messages = [
            {"role": ("user", "assistant")[i % 2], "content": content}
            for i, content in enumerate(contents)
        ]
        yield "explain", {"messages": messages, "position": 0, "attention": heads}
        weight = "lm_head", tokenizer.vocab_size - 1, 0
        yield "explain", {"messages": messages, "position": -1, "backward": weight}
        if n % 2:
            changes = {**edits_of(rng, config), "learn": [{"messages": [*messages, REPLY]}]}
            yield "chat", sampling(messages=messages, **changes, max_tokens=4)
            yield "reply", sampling(messages=messages)


def edits_of(rng: random.Random, config: ModelConfig) -> dict[str, Any]:
    """Return random lists of heads and MLPs to switch off in a model."""

    kinds = {
        "without_heads": [
            [rng.randrange(config.n_layer), rng.randrange(config.n_head)] for _ in range(2)
        ],
        "without_mlps": [rng.randrange(config.n_layer)],
    }
    return {name: found for name, found in kinds.items() if rng.random() < 0.5}


def answer(saved: SavedModel, name: str, body: dict[str, Any]) -> Any:
    """Return the library's answer to a request of the page, or its error."""
    try:
        return answered(saved, name, body)
    except MicrogptError as error:
        return {"error": str(error)}


def answered(saved: SavedModel, name: str, body: dict[str, Any]) -> Any:
    gpt = InferenceGpt(saved)
    saved = changed(saved, body, [text_of(gpt, saved, each) for each in body.get("learn", ())])
    gpt = InferenceGpt(saved)
    chosen = {key: body[key] for key in ("temperature", "top_k") if key in body}
    sampling = Sampling(**chosen)
    limits = {"max_tokens": body.get("max_tokens"), "seed": body.get("seed", 42)}
    if name == "generate":
        n, prompt = body["num_samples"], body.get("prompt", "")
        job = gpt.text_job(n, prompts=[prompt], sampling=sampling, **limits)
        texts = gpt.samples(n, prompt=prompt, **chosen, **limits)
        (prompt_tokens,), room = job.prompts, gpt.config.block_size - len(job.prompts[0])
        found = gpt.engine_model.decode_many(n * [prompt_tokens], job.seeds, job.rules)
        is_said = saved.config.text == "lines" and "max_tokens" not in body
        n_cut = sum(len([*each]) > room for each in found) if is_said else 0
        return {
            "samples": [*texts],
            "tokens_dropped": job.tokens_dropped or None,
            "n_cut": n_cut or None,
        }
    if name == "decode":
        tokens = body["tokens"]
        return {"text": gpt.tokenizer.decode(tokens), "label": gpt.tokenizer.label(tokens[-1])}
    if name == "continue":
        job = gpt.text_job(prompts=[body["prompt"]], sampling=sampling, **limits)
        stream = gpt.generate_from_prompt(
            job.prompts[0],
            stop=job.rules.stop,
            max_tokens=limits["max_tokens"],
            **chosen,
            rng=random.Random(limits["seed"]),
        )
        return {"text": gpt.tokenizer.decode(stream)}
    if name == "explain":
        document, prompt = read_document(gpt, body)
        return {**explained(gpt, saved, document, body), **dropped(prompt)}
    reply = gpt.chat(messages_of(body), **chosen, **limits)
    if name == "chat":
        return reply.content
    return {
        "text": reply.content,
        "tokens_dropped": reply.tokens_dropped,
        "unknown_characters": reply.unknown_characters,
    }


def explained(
    gpt: InferenceGpt, saved: SavedModel, document: Document, body: dict[str, Any]
) -> dict[str, Any]:
    text = Text.from_document(saved, document, unfinished=body.get("unfinished", False))
    position, weight = body.get("position"), body.get("backward")
    heads = body.get("attention", [])
    if position is not None or weight or "ablations" in body:
        heads = heads or [[0, 0]]
    top, n_read, most = body.get("top", 5), len(text.tokens) - 1, saved.model.block_size
    if heads and n_read > most:
        raise PromptError(
            f"the text has {n_read} tokens with the start token; use at most {most}, the context "
            "of the model"
        )
    explained = explain(gpt, document, n_alternatives=top, text_kind=saved.config.text)
    predictions = [asdict(each) for each in explained.predictions]
    for each in predictions:
        del each["entropy"]  # the page does not show the entropy
    found = {
        "bits": explained.bits,
        "n_scored": len(explained.scored),
        "predictions": predictions,
        "read": list(explained.read),
    }
    inside = Inside(saved, text) if heads else None
    found["attention"] = {
        f"{layer}.{head}": [of_heads[head] for of_heads in inside.found[f"layer{layer}.attention"]]
        for layer, head in body.get("attention", ())
    }
    if body.get("unfinished") and saved.config.text == "lines":
        found["bits"] -= found["predictions"][-1]["bits"]
        found["n_scored"] -= 1
    found |= {"activations": {}, "ablations": [], "backward": {}}
    if position is not None:
        found["activations"] = inside.at(position)
    if "ablations" in body:
        found["ablations"] = ablations(saved, text, position)
    if weight:
        found["backward"] = backward(saved, text, weight, position)
    return found


def text_of(gpt: InferenceGpt, saved: SavedModel, body: dict[str, Any]) -> Text:
    """Return the tokens of a text or conversation to train on, and which predictions count."""
    document, _ = read_document(gpt, body)
    return Text.from_document(saved, document, unfinished=body.get("unfinished", False))


def read_document(gpt: InferenceGpt, body: dict[str, Any]) -> tuple[Document, ChatPrompt | None]:
    """Return (text, None), or (the conversation that the model reads, its last prompt)."""
    if "text" in body:
        return body["text"], None
    messages = messages_of(body)
    reply = [messages.pop()] if messages[-1].role == "assistant" else []
    prompt = gpt.chat_prompt(messages)
    return [*prompt.messages, *reply], prompt


def messages_of(body: dict[str, Any]) -> list[Message]:
    return [Message(**message) for message in body["messages"]]


def dropped(prompt: ChatPrompt | None) -> dict[str, Any]:
    """Return the number of dropped tokens and the unknown characters, if there are any."""
    names = "tokens_dropped", "unknown_characters"
    return {name: getattr(prompt, name) or None for name in names} if prompt else {}


def case(number: int, kernels: dict[str, bytes]) -> dict[str, Any]:
    """Return the file of a model, and requests with their answers."""
    rng = random.Random(number)
    dtype = rng.choice(("float16", "float32"))
    saved = saved_model(rng, dtype)
    requests = list(requests_of(rng, saved))
    facts, parts = model_file(saved, "drawn", dtype)
    engine, modules = engine_file(kernels)
    facts, parts = {**engine, **facts}, {**modules, **parts}
    return {
        "facts": facts,
        "parts": {name: base64.b64encode(part).decode() for name, part in parts.items()},
        "requests": requests,
        "answers": [answer(saved, name, body) for name, body in requests],
    }


if __name__ == "__main__":
    gc.disable()  # it would scan the graphs of scalars and of the compiler repeatedly
    n, folder, result = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    kernels = {name: (folder / f"{name}-{dtype}.wasm").read_bytes() for name, dtype in TRAINING}
    numbers = range(FIRST, FIRST + n)
    result.write_text(json.dumps([case(number, kernels) for number in numbers]))
