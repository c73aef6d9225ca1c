"""`microgpt chat`: converse with a chat model."""

import atexit
import os
import re
import sys
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt import (
    ConfigError,
    Message,
    MicrogptError,
    PromptError,
    Sampling,
    TokenizerError,
    printable,
)
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import Terminated, note, say, styled, terminal_safe
from microgpt_cli.terminal.help import examples

if TYPE_CHECKING:
    from microgpt import InferenceGpt, SavedModel, TokenStream

N_EXAMPLES = 3  # number of messages that the banner suggests
MAX_HISTORY = 1000  # number of messages that are kept for later sessions
QUIT_WORDS = ("exit", "quit", "bye")  # end a chat on a terminal; piped in, they are messages
HELP = """/clear  clear the conversation
/help   show this help
/exit   quit

exit or Ctrl-D quits; Ctrl-C stops a reply or clears the line. The arrow keys recall earlier
messages."""


@examples("microgpt chat 'what is 3 plus 4?'")
def chat(
    words: list[str] | None = opt.argument(
        None,
        f"{opt.MODEL_THEN} a message to reply to.  [default: start a conversation]",
        "[MODEL] [MESSAGE]",
    ),
    model_dir: Path | None = opt.option(None, f"{opt.MODEL_HELP}  [{opt.OR_DEMO}]", *opt.MODEL),
    temperature: float = opt.sampling_option("temperature", None),
    seed: str = opt.seed_option("reply"),
    doubt: bool = opt.flag("--doubt", "Color each token of a reply by its surprise, as explain."),
) -> None:
    """Chat with a model that was trained with --chat.

    /help lists the commands; exit or Ctrl-D quits; Ctrl-C stops a reply. Piped input is answered
    line by line, without labels; an empty line is printed for each line without a reply. A model
    of few questions ignores --temperature and --seed.
    """
    texts, model_dir = opt.texts_and_model(words, model_dir)
    message = opt.one_text(texts)
    sampling, first_seed = Sampling(temperature), opt.seed_of(seed)
    if message is not None and not message.strip():
        raise PromptError("the message is empty; pass some text")

    from microgpt import as_argument
    from microgpt_cli.model_loading import inference

    saved = _load(model_dir, is_one_shot=message is not None)
    if not saved.tokenizer.is_chat:
        raise TokenizerError(
            "this is not a chat model; train a model with --chat, or sample from this one with "
            f"microgpt generate --model {as_argument(model_dir or opt.DEFAULT_MODEL_DIR)}"
        )
    model = inference(saved, ["decoding", "evaluation"] if doubt else ["decoding"])
    session = ChatSession(model, sampling, first_seed, note)
    session.doubts = doubt
    if message is not None:
        _print_reply(session, session.ask(message), can_stop=False)
        return
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if at_terminal:
        print(_banner(saved))
    _run_chat(session, ChatInput(is_terminal=at_terminal), at_terminal)


class ChatSession:
    """A conversation with a chat model, and the sampling settings."""

    def __init__(
        self, model: "InferenceGpt", sampling: Sampling, seed: int, tell: Callable[[str], None]
    ) -> None:
        """Start a conversation; `tell` is called with notes for the user."""
        self.messages: list[Message] = []  # messages so far; empty, or ending with a reply
        self.was_cut = False  # whether the context was full before the end of the last reply
        self.doubts = False  # whether replies are colored by surprise
        self._model, self._sampling, self._tell = model, sampling, tell
        self._seed = seed
        self._has_dropped = False
        self._noted = ""  # unknown characters reported so far

    def restart(self) -> None:
        """Forget the conversation."""
        self.messages = []
        self._has_dropped = False

    def ask(self, text: str) -> Generator[str, None, None]:
        """Return the pieces of the reply to a message; raise PromptError if it is too long.

        The message and the reply, which is partial if the generator is closed, are then added.
        """
        self.was_cut = False
        # Lone surrogates represent undecodable bytes.
        question = Message("user", re.sub("[\ud800-\udfff]", "\ufffd", text))
        prompt = self._model.chat_prompt([*self.messages, question])
        self._note_unknown(question.content)
        if prompt.tokens_dropped and not self._has_dropped:  # report dropped tokens only once
            self._tell(
                "the conversation no longer fits into the context of "
                f"{self._model.config.block_size} tokens; the model no longer sees the oldest "
                f"turns ({prompt.tokens_dropped} tokens so far)"
            )
        self._has_dropped = prompt.tokens_dropped > 0
        job = self._model.reply_job(prompt, sampling=self._sampling, seed=self._seed)
        return self._reply(question, self._model.stream(job))

    def colored_reply(self) -> str:
        """Return the last reply, colored by surprise, and tell its mean probability."""
        from microgpt import explain
        from microgpt_cli.commands.explain_command import style_of

        reply = self.messages[-1].content
        n = len(self._model.tokenizer.encode(reply)) + 1  # with its end
        found = explain(self._model, self.messages, n_alternatives=0).predictions[-n:]
        mean = 2 ** -(sum(each.bits for each in found) / n)
        self._tell(f"mean probability of a token: {100 * mean:.0f} %")
        if "".join(each.text for each in found[:-1]) != reply:  # a token is a part of a character
            return terminal_safe(reply)
        return "".join(styled(terminal_safe(each.text), style_of(each.bits)) for each in found[:-1])

    def _reply(self, question: Message, stream: "TokenStream") -> Generator[str, None, None]:
        answer = ""
        try:
            for piece in self._model.tokenizer.decode_stream(stream):
                answer += piece
                yield piece
            self.was_cut = stream.finish_reason == "length"
        finally:
            if answer.strip():
                self.messages += [question, Message("assistant", answer)]

    def _note_unknown(self, text: str) -> None:
        """Report unknown characters that have not been reported yet."""
        reading = self._model.tokenizer.reading(text)
        unknown = [chr(code) for code, other in reading.items() if other is None]
        if new := [char for char in unknown if char not in self._noted]:
            self._noted += "".join(new)
            self._tell(
                f"removed characters that are not in the vocabulary: {', '.join(map(repr, new))}"
            )


class ChatInput:
    """Reads messages from a pipe, or from a terminal where they can be edited and recalled."""

    def __init__(self, *, is_terminal: bool) -> None:
        self._is_terminal = is_terminal
        if is_terminal:
            _edit_lines()

    def ask(self) -> str:
        """Return the next message; raise EOFError at the end of the input."""
        if not self._is_terminal:
            if line := sys.stdin.readline():
                return line
            raise EOFError
        try:
            return input("you> ")
        except (EOFError, KeyboardInterrupt):
            print()  # end the line of the prompt after Ctrl-D or Ctrl-C
            raise

    def show_label(self) -> None:
        """Print the label of a reply on a terminal."""
        if self._is_terminal:
            print(styled("microgpt> ", "36"), end="", flush=True)


def _edit_lines() -> None:
    """Let `input` edit lines and recall messages of all sessions.

    Without readline, as on Windows, the terminal has its own way of editing.
    """
    try:
        import readline
    except ImportError:
        return
    # Ctrl-D that was typed during a reply arrives as NUL, because readline changes the terminal.
    readline.parse_and_bind(r'"\C-@": "\C-d"')
    from platformdirs import user_state_path

    with suppress(OSError, RuntimeError):  # RuntimeError: there is no home directory
        folder = user_state_path("microgpt", appauthor=False)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # readable only by the user
        history = str(folder / "messages")
        readline.set_history_length(MAX_HISTORY)
        atexit.register(_write_history, history)
        readline.read_history_file(history)


def _write_history(file: str) -> None:
    import readline

    with suppress(OSError):
        readline.write_history_file(file)


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
    if os.path.lexists(opt.DEFAULT_MODEL_DIR):
        if (saved := load_model(opt.DEFAULT_MODEL_DIR)).tokenizer.is_chat:
            return saved
        note(f"{opt.DEFAULT_MODEL_DIR} has no chat model; using the demo model")
    elif not is_one_shot:
        note(f"{opt.DEFAULT_MODEL_DIR} not found; using the demo model")
    return load(bundled(DEMO_MODEL))


def _run_chat(session: ChatSession, chat_input: ChatInput, at_terminal: bool) -> None:
    """Reply until the input ends. On a terminal, Ctrl-C cancels only the reply or input line.

    Otherwise, print an empty line if there is no reply, so that input and output lines match.
    """
    no_reply = "" if at_terminal else "\n"
    while True:
        try:
            text = chat_input.ask().strip()
            if at_terminal and text.lower() in QUIT_WORDS:
                return
            if text.startswith("/"):
                print(_run_command(session, text), flush=True)
            elif text:
                reply = session.ask(text)
                chat_input.show_label()
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


def _run_command(session: ChatSession, command: str) -> str:
    """Run a command and return the text to show; raise EOFError to end the chat."""
    if command in ("/exit", "/quit"):
        raise EOFError
    if command == "/clear":
        session.restart()
        return "(history cleared)"
    if command == "/help":
        return HELP
    raise ConfigError(f"unknown command {command:.20}; /help lists the commands")


def _print_reply(
    session: ChatSession, reply: Generator[str, None, None], *, can_stop: bool
) -> None:
    """Print a reply while it is generated; after Ctrl-C, keep the partial reply."""
    n_before = len(session.messages)
    try:
        with closing(reply):
            for piece in reply:
                if not session.doubts:
                    print(terminal_safe(piece), end="", flush=True)
        if session.doubts and len(session.messages) > n_before:
            print(session.colored_reply(), end="")
    except KeyboardInterrupt as stop:
        if isinstance(stop, Terminated) or not can_stop:
            raise
        print(" (stopped)", end="")
    finally:
        print(flush=True)
    if session.was_cut:
        note("the reply was truncated: the context is full")
