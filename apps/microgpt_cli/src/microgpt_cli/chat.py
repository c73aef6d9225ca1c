"""`microgpt chat`: a conversation with a chat model."""

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from microgpt.config import DEFAULT_SEED, DEFAULT_TEMPERATURE, Sampling, check_seed
from microgpt.errors import PromptError
from microgpt_cli.options import DEFAULT_MODEL_DIR, ModelDir, Temperature
from microgpt_cli.stopping import Terminated, obeyed
from microgpt_cli.streams import note, say

if TYPE_CHECKING:
    from microgpt.inference import InferenceGpt
    from microgpt.tokenizer import Message


def chat(
    model_dir: ModelDir = DEFAULT_MODEL_DIR,
    temperature: Temperature = DEFAULT_TEMPERATURE,
    seed: Annotated[
        int, typer.Option(help="Of the first reply; the next has seed + 1.")
    ] = DEFAULT_SEED,
) -> None:
    """Talk to a model that was trained with --chat.

    /clear forgets the conversation, /quit or Ctrl-D leaves, Ctrl-C stops a reply.
    """
    sampling = Sampling(temperature)
    check_seed(seed)

    from microgpt.checkpoint import load
    from microgpt.engines import prepare_engine
    from microgpt.inference import InferenceGpt

    saved = load(model_dir)
    model = InferenceGpt(saved)
    _ = model.tokenizer.end_turn_id  # raises, with what to do, where there are no chat tokens
    prepare_engine("compiled", saved.dtype, uses=["decoding"], tell=note)
    if sys.stdin.isatty():
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  (gives input() editing and history)
        print(f"microgpt chat (block_size={model.config.block_size})")
        print("type /quit to exit, /clear to reset history\n")
    messages: list[Message] = []
    while (line := _read_line()) is not None and line != "/quit":
        if line == "/clear":
            messages.clear()
            print("(history cleared)")
        elif line.startswith("/"):
            note(f"there is no {line}; there are /quit and /clear")
        elif line:
            try:
                messages += _exchange(model, messages, line, sampling, seed)
            except PromptError as error:
                say(f"error: {error}")


def _read_line() -> str | None:
    """Return what the user says, stripped, or None at the end of the input."""
    try:
        return input("you> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return None


def _exchange(
    model: "InferenceGpt", history: "list[Message]", text: str, sampling: Sampling, seed: int
) -> "list[Message]":
    """Print the reply to a message, and return both; nothing if the reply is blank."""
    from microgpt.tokenizer import Message

    unknown = model.tokenizer.unknown_characters(text)
    if unknown:
        note(f"the model cannot read {', '.join(map(repr, unknown))}; left out")
    question = Message("user", text.translate(str.maketrans("", "", unknown)))
    prompt = model.chat_prompt([*history, question])
    if prompt.tokens_dropped:
        note(f"the first {prompt.tokens_dropped} tokens of the conversation no longer fit")
    stream = model.reply(prompt, sampling=sampling, seed=seed)
    answer = ""
    print("microgpt> ", end="", flush=True)
    try:
        for token in stream:
            piece = model.tokenizer.decode([token])
            answer += piece
            print(piece, end="", flush=True)
    except KeyboardInterrupt as stop:
        if isinstance(stop, Terminated) or not sys.stdin.isatty():  # nobody is there to go on
            raise
        obeyed()
        print(" (stopped)", end="")
    finally:
        print(flush=True)  # input() would flush it, and drop a Ctrl-C that comes just then
    if stream.finish_reason == "length":
        note("the reply was cut: the context is full")
    return [question, Message("assistant", answer)] if answer.strip() else []
