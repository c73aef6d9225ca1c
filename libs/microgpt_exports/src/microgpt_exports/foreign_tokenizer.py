"""A tokenizer for other programs: GPT-2's byte-level BPE, special tokens and a chat template."""

import json
from dataclasses import dataclass
from itertools import accumulate, pairwise

from microgpt import SavedModel, Tokenizer, TokenizerError, printable

PRINTED = (*range(33, 127), *range(161, 173), *range(174, 256))  # bytes shown as Latin-1 characters


@dataclass(frozen=True)
class ForeignTokenizer:
    """The description of a tokenizer for llama.cpp and Hugging Face Transformers."""

    pieces: tuple[str, ...]  # text of each token, with one character per byte
    merges: tuple[tuple[str, str], ...]  # pairs of pieces to join, in order of priority
    special: dict[str, int]  # ids of special tokens by name, such as "<|bos|>", in ascending order
    end_id: int  # id of the token that ends a text or a reply
    suppressed: tuple[int, ...]  # ids of special tokens that are never generated
    chat_template: str  # Jinja template of a conversation


def foreign_tokenizer(tokenizer: Tokenizer) -> ForeignTokenizer:
    """Describe a tokenizer; raise TokenizerError if a text token has a special token's name."""
    chars = _byte_characters()
    pieces = tuple(
        "".join(chars[byte] for byte in (name.encode() if isinstance(name, str) else name))
        for name in tokenizer.piece_names
    )
    if tokenizer.file:
        merges = [tuple(merge) for merge in json.loads(tokenizer.file)["model"]["merges"]]
    else:  # merge the bytes of each character; llama.cpp requires at least one merge
        merges = [
            (head, whole[len(head) :])
            for piece in pieces
            for head, whole in pairwise(accumulate(piece))
        ] or [(chars[255], chars[255])]  # never applies, as UTF-8 has no byte 255
    special = {tokenizer.label(token): token for token in tokenizer.special_ids}
    if found := special.keys() & set(pieces):
        raise TokenizerError(
            f"the vocabulary contains {min(found)}, which is a special token in other programs"
        )
    end_id = tokenizer.end_turn_id if tokenizer.is_chat else tokenizer.bos_id
    return ForeignTokenizer(
        pieces,
        tuple(dict.fromkeys(merges)),
        special,
        end_id,
        tuple(token for token in tokenizer.special_ids if token != end_id),
        _chat_template(tokenizer),
    )


def known_characters(saved: SavedModel) -> str:
    """Return a remark on characters that other programs leave out, or "" for subwords."""
    chars = printable("".join(saved.tokenizer.chars or ()))
    return chars and f'in other programs, the tokenizer leaves out characters other than "{chars}"'


def _byte_characters() -> list[str]:
    """Return the character of each byte in GPT-2's byte-level BPE."""
    others = iter(range(256, 512))
    return [chr(byte if byte in PRINTED else next(others)) for byte in range(256)]


def _chat_template(tokenizer: Tokenizer) -> str:
    """Return the template of a conversation; for a text model, it joins the messages."""
    content = "message['content']"
    if tokenizer.folds:
        content += "|lower"
    if tokenizer.reading("\n") == {ord("\n"): " "}:
        content += r"|replace('\n', ' ')"
    if not tokenizer.is_chat:
        return "{{ bos_token }}{% for message in messages %}{{ " + content + " }}{% endfor %}"
    return (
        "{{ bos_token }}{% for message in messages %}"
        "{% if message['role'] in ['user', 'assistant'] %}"
        "{{ '<|' + message['role'] + '|>' + (" + content + ") + '<|end_turn|>' }}"
        "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
    )
