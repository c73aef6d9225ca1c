"""`microgpt chat`: converse with a chat model."""

import os
import sys
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt import (
    CheckpointError,
    ConfigError,
    MicrogptError,
    PromptError,
    Sampling,
    TokenizerError,
    printable,
)
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import note, say, terminal_safe
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.signals import Terminated

if TYPE_CHECKING:
    from microgpt import SavedModel
    from microgpt_cli.chat.session import ChatSession
    from microgpt_cli.chat.terminal import TerminalInput

N_EXAMPLES = 3  # number of messages that the banner suggests
QUIT_WORDS = ("exit", "quit", "bye")  # end a chat on a terminal; piped in, they are messages


@examples("microgpt chat 'what is 3 plus 4?'")
def chat(
    message: str | None = opt.argument(
        None, "Message to reply to, or a model.  [default: start a conversation]", "MESSAGE"
    ),
    model_dir: Path | None = opt.option(None, f"{opt.MODEL_HELP}  [{opt.OR_DEMO}]", *opt.MODEL),
    temperature: float = opt.sampling_option("temperature", None),
    seed: str = opt.seed_option("reply"),
    unknown: str | None = opt.option(
        None,
        "Reply text for a question that a model of few questions does not know.  [default: the "
        "model's]",
    ),
    suggest: bool = opt.option(
        False, "Add the most similar known questions to the reply to an unknown question."
    ),
) -> None:
    """Chat with a model that was trained with --chat.

    /help lists the commands; exit or Ctrl-D quits; Ctrl-C stops a reply. Piped input is answered
    line by line, without labels; an empty line is printed for each line without a reply. A model
    of few questions ignores --temperature and --seed.
    """
    message, model_dir = opt.text_or_model(message, model_dir)
    sampling, first_seed = Sampling(temperature), opt.seed_of(seed)
    if message is not None and not message.strip():
        raise PromptError("the message is empty; pass some text")

    from microgpt import as_argument
    from microgpt_cli.chat.session import ChatSession
    from microgpt_cli.model_loading import inference

    saved = _load(model_dir, is_one_shot=message is not None)
    if (unknown is not None or suggest) and not saved.extra:
        raise ConfigError(
            "--unknown and --suggest require a model that has learned few questions as a whole "
            "(`microgpt train --chat`); other models answer every question"
        )
    if not saved.tokenizer.is_chat:
        raise TokenizerError(
            "this is not a chat model; train a model with --chat, or sample from this one with "
            f"microgpt generate --model {as_argument(model_dir or opt.DEFAULT_MODEL_DIR)}"
        )
    options = {"unknown": unknown, "suggest": suggest}
    model = inference(saved, ["decoding"], [saved.model.block_size], chat_options=options)
    session = ChatSession(model, sampling, first_seed, note)
    if message is not None:
        _print_reply(session, session.ask(message), can_stop=False)
        return
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if at_terminal:
        print(_banner(saved))
    _run_chat(session, _make_input(at_terminal), at_terminal)


def _banner(saved: "SavedModel") -> str:
    from microgpt import count_params

    size, unit = saved.model.block_size, saved.tokenizer.unit
    lines = [f"microgpt chat: {count_params(saved.model):,} weights, a context of {size} {unit}"]
    if examples := saved.meta.examples:
        lines.append(f"Try: {'   '.join(map(printable, examples[:N_EXAMPLES]))}")
    return "\n".join([*lines, "Type exit or Ctrl-D to quit, /clear to forget, /help for more.", ""])


def _load(model_dir: Path | None, *, is_one_shot: bool) -> "SavedModel":
    """Load the given model. By default, load the chat model in `output`, or the demo model.

    For a one-shot message, no note is printed if `output` does not exist.
    """
    from microgpt import DEMO_MODEL, bundled, load
    from microgpt_cli.model_loading import load_model

    if model_dir is not None:
        return load_model(model_dir)
    output = opt.DEFAULT_MODEL_DIR
    problem = None if is_one_shot else f"{output} not found"
    if os.path.lexists(output):
        try:
            if (saved := load_model(output)).tokenizer.is_chat:
                return saved
            problem = f"{output} has no chat model"
        except CheckpointError as error:
            problem = str(error)
    if problem:
        note(f"{problem}; using the demo model")
    return load(bundled(DEMO_MODEL))


class PipeInput:
    """Reads lines from standard input: a pipe or, with a prompt, a dumb terminal."""

    def __init__(self, *, with_prompt: bool) -> None:
        self._with_prompt = with_prompt

    def ask(self, label: str) -> str:
        """Return the next line; raise EOFError at the end of the input."""
        self.show_label(label)
        line = ""
        try:
            line = sys.stdin.readline()
        finally:
            if self._with_prompt and not line:
                print()  # end the prompt line after Ctrl-C or Ctrl-D
        if not line:
            raise EOFError
        return line

    def show_label(self, label: str) -> None:
        """Print the label of a message or a reply on a terminal."""
        if self._with_prompt:
            print(label, end="", flush=True)


def _make_input(at_terminal: bool) -> "PipeInput | TerminalInput":
    if at_terminal:
        from prompt_toolkit.utils import is_dumb_terminal

        if not is_dumb_terminal():
            from microgpt_cli.chat.terminal import TerminalInput

            return TerminalInput()
    return PipeInput(with_prompt=at_terminal)


def _run_chat(
    session: "ChatSession", chat_input: "PipeInput | TerminalInput", at_terminal: bool
) -> None:
    """Reply until the input ends. On a terminal, Ctrl-C cancels only the reply or input line.

    Otherwise, print an empty line if there is no reply, so that input and output lines match.
    """
    from microgpt_cli.chat.session import is_command, run_command

    no_reply = "" if at_terminal else "\n"
    while True:
        try:
            text = chat_input.ask("you> ").strip()
            if at_terminal and text.lower() in QUIT_WORDS:
                return
            if is_command(text):
                print(terminal_safe(run_command(session, text)), flush=True)
            elif text:
                reply = session.ask(text)
                chat_input.show_label("microgpt> ")
                _print_reply(session, reply, can_stop=at_terminal)
            else:
                print(end=no_reply, flush=True)
        except EOFError:
            return
        except MicrogptError as error:
            say(f"error: {error}")
            print(end=no_reply, flush=True)
        except KeyboardInterrupt as stop:
            if isinstance(stop, Terminated) or not at_terminal:
                raise


def _print_reply(
    session: "ChatSession", reply: Generator[str, None, None], *, can_stop: bool
) -> None:
    """Print a reply while it is generated; after Ctrl-C, keep the partial reply."""
    try:
        with closing(reply):
            for piece in reply:
                print(terminal_safe(piece), end="", flush=True)
    except KeyboardInterrupt as stop:
        if isinstance(stop, Terminated) or not can_stop:
            raise
        print(" (stopped)", end="")
    finally:
        print(flush=True)
    if session.was_cut:
        note("the reply was truncated: the context is full")
