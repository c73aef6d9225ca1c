"""Model directories for Hugging Face Transformers.

config.json, generation_config.json     the architecture, and the generation settings
model.safetensors                       the weights in float32
tokenizer.json, tokenizer_config.json   the tokenizer, and the chat template
receipt.json                            the model's results, for `verify`; see `receipt`
"""

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from microgpt import TABLE, ModelConfig, Sampling, Tokenizer, check_extra
from microgpt_exports.apertus import settings_of, to_apertus
from microgpt_exports.foreign_tokenizer import foreign_tokenizer, known_characters
from microgpt_exports.format import RECEIPT_FILE, Arrays, Format, Numbers, running
from microgpt_exports.receipt import Program, Receipt

WEIGHTS = "model.safetensors"


def files(receipt: Receipt, tokenizer: Tokenizer, tensors: Arrays) -> dict[str, list[bytes]]:
    """Return the content of each file, by name, as a list of byte strings to concatenate."""
    small = {
        name: [(json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode()]
        for name, facts in _small_files(receipt.model, tokenizer).items()
    }
    return small | {WEIGHTS: _safetensors(tensors), RECEIPT_FILE: [receipt.to_json().encode()]}


def run(directory: Path) -> Program:
    """Open a directory with Transformers, on the CPU and without running any code in it."""
    extra, what = "microgpt-exports[transformers]", "Directories of transformers"
    check_extra(extra, what, "torch", "transformers")
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with running(f"transformers {transformers.__version__}"):
        model = transformers.AutoModelForCausalLM.from_pretrained(
            str(directory), local_files_only=True, trust_remote_code=False, use_safetensors=True
        ).eval()
    cache_name = "cache" if "cache" in signature(model.forward).parameters else "past_key_values"

    def read(tokens: Sequence[int], cache: Any) -> tuple[NDArray[Any], Any]:
        cache = transformers.DynamicCache(config=model.config) if cache is None else cache
        with torch.inference_mode():
            found = model(torch.tensor([tokens]), use_cache=True, **{cache_name: cache})
        return found.logits[0].numpy(), cache

    return read


TRANSFORMERS_FORMAT = Format(
    "transformers", to_apertus, files, run, weights_file=WEIGHTS, remark=known_characters
)


def _safetensors(tensors: Arrays) -> list[bytes]:
    """Return a safetensors file of float32 tensors, as byte strings to concatenate."""
    facts: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, each in tensors.items():
        start, end = end, end + each.nbytes
        facts[name] = {"dtype": "F32", "shape": each.shape, "data_offsets": [start, end]}
    head = json.dumps(facts).encode()
    head += b" " * (-len(head) % 8)
    return [struct.pack("<Q", len(head)) + head, *(Numbers(t.tobytes()) for t in tensors.values())]


def _small_files(config: ModelConfig, tokenizer: Tokenizer) -> dict[str, object]:
    """Return the JSON content of each file except the weights and the receipt."""
    read = foreign_tokenizer(tokenizer)
    bos, bos_id = tokenizer.label(tokenizer.bos_id), tokenizer.bos_id
    # BOS is also the padding token, which `generate` masks in prompts unless it is an end token.
    ends = sorted({read.end_id, bos_id})
    ids = {"bos_token_id": bos_id, "eos_token_id": ends, "pad_token_id": bos_id}
    generation: dict[str, object] = ids | {
        "do_sample": True,
        "temperature": Sampling.temperature,
        "top_k": 0,
        "max_length": config.block_size,
    }
    if read.suppressed:
        generation["suppress_tokens"] = read.suppressed
    return {
        "config.json": settings_of(config) | ids,
        "generation_config.json": generation,
        "tokenizer.json": _tokenizer_file(tokenizer, read.special),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": bos,
            "eos_token": tokenizer.label(read.end_id),
            "pad_token": bos,
            "additional_special_tokens": [*read.special],
            "model_max_length": config.block_size,
            "clean_up_tokenization_spaces": False,
            "chat_template": read.chat_template,
        },
    }


def _tokenizer_file(tokenizer: Tokenizer, special: Mapping[str, int]) -> dict[str, object]:
    """Return the content of tokenizer.json, which puts BOS before each text."""
    facts: dict[str, object]
    if tokenizer.file:
        facts = json.loads(tokenizer.file)
    else:  # BPE without merges has one token per character, and leaves out unknown characters
        vocabulary = {str(char): token for token, char in enumerate(tokenizer.piece_names)}
        facts = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "pre_tokenizer": None,
            "decoder": {"type": "Fuse"},
            "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
        }
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    name, bos_id = tokenizer.label(tokenizer.bos_id), tokenizer.bos_id
    bos = {"SpecialToken": {"id": name, "type_id": 0}}
    text, other = ({"Sequence": {"id": id, "type_id": 0}} for id in "AB")
    steps = [*_normalizers(tokenizer)]
    return facts | {
        "added_tokens": [
            {"id": token, "content": each, **flags, "special": True}
            for each, token in special.items()
        ],
        "normalizer": {"type": "Sequence", "normalizers": steps} if steps else None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [bos, text],
            "pair": [bos, text, other],
            "special_tokens": {name: {"id": name, "ids": [bos_id], "tokens": [name]}},
        },
    }


def _normalizers(tokenizer: Tokenizer) -> Iterator[dict[str, object]]:
    """Yield normalizers that change a text in the same way as microgpt's `fold` and `reading`."""
    if tokenizer.folds:
        yield {"type": "NFKD"}
        yield {"type": "Lowercase"}
        yield {"type": "NFKD"}
        yield {"type": "Replace", "pattern": {"Regex": "[\u0300-\u036f]"}, "content": ""}
        yield {"type": "NFC"}
        for code, text in (TABLE | {ord("ß"): "ss"}).items():
            yield {"type": "Replace", "pattern": {"String": chr(code)}, "content": text}
    spaces = "".join(each for each in tokenizer.chars or () if each.isspace())
    if " " in spaces:
        other = f"[^\\S{spaces}]"
        yield {"type": "Replace", "pattern": {"Regex": other}, "content": " "}
