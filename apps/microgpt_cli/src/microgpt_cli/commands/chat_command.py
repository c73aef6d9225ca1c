"""`microgpt chat`: converse with a chat model."""

import os
import sys
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass, field
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
    import re

    from microgpt import ChatPrompt, InferenceGpt, SavedModel

N_EXAMPLES = 3  # number of messages that the banner suggests
MAX_DRAWS = 100  # maximum number of draws per reply if --never rejects replies
QUIT_WORDS = ("exit", "quit", "bye")  # words that end a chat at a terminal, but not in piped input


@examples("microgpt chat 'who are you?'")
def chat(
    words: list[str] | None = opt.argument(
        None,
        f"{opt.MODEL_THEN} a message to reply to.  [default: start a conversation]",
        "[MODEL] [MESSAGE]",
    ),
    model_dir: Path | None = opt.option(None, f"{opt.MODEL_HELP}  [{opt.OR_DEMO}]", *opt.MODEL),
    temperature: float = opt.sampling_option("temperature", panel=None),
    seed: str = opt.seed_option("reply"),
    never: Path | None = opt.option(None, "Draw again while a reply contains a line of this file."),
    doubt: bool = opt.flag("--doubt", "Color each token of a reply by its surprise."),
) -> None:
    """Chat with a model that was trained with --chat.

    /clear forgets the conversation; exit, /exit or Ctrl-D quits; Ctrl-C stops a reply. Piped input
    is answered line by line, without labels; an empty line is printed for each line without a
    reply. A model made from a table of questions ignores --temperature and --seed.
    """
    texts, model_dir = opt.texts_and_model(words, model_dir)
    message = opt.one_text(texts)
    sampling, first_seed = Sampling(temperature), opt.seed_of(seed)
    if message is not None and not message.strip():
        raise PromptError("the message is empty; pass some text")

    from microgpt import as_argument
    from microgpt_cli.commands.generate_command import words_of
    from microgpt_cli.model_loading import inference

    saved = _load(model_dir)
    if not saved.tokenizer.is_chat:
        raise TokenizerError(
            "this is not a chat model; train a model with --chat, or sample from this one with "
            f"microgpt generate --model {as_argument(model_dir or opt.DEFAULT_MODEL_DIR)}"
        )
    model = inference(saved, ["decoding", "evaluation"] if doubt else ["decoding"])
    session = ChatSession(model, sampling, first_seed, doubt, words_of(never) if never else None)
    if message is not None:
        _answer(session, message)
        return
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if at_terminal:
        _greet(saved)
        if model.greeting:
            print(f"{session.label}{terminal_safe(model.greeting)}")
    _run_chat(session, at_terminal=at_terminal)


@dataclass
class ChatSession:
    """A conversation with a chat model, and the settings with which its replies are drawn."""

    model: "InferenceGpt"
    sampling: Sampling
    seed: int
    shows_doubt: bool = False  # whether to color the tokens of replies by their surprise
    never: "re.Pattern[str] | None" = None  # replies that match it are drawn again
    messages: list[Message] = field(default_factory=list)  # empty, or ending with a reply
    _has_dropped: bool = False
    _noted: str = ""  # unknown characters reported so far

    @property
    def label(self) -> str:
        """The text before each reply on a terminal."""
        return styled(f"{terminal_safe(self.model.speaker) or 'microgpt'}> ", "36")

    def ask(self, text: str) -> Generator[str, None, None]:
        """Return a generator of a reply to a message; raise PromptError if it cannot be generated.

        When exhausted or closed, the generator adds the message and the reply so far to `messages`.
        """
        question = Message("user", text)
        prompt = self.model.chat_prompt([*self.messages, question])
        if new := [char for char in prompt.unknown_characters if char not in self._noted]:
            self._noted += "".join(new)
            note(f"removed characters not in the vocabulary: {', '.join(map(repr, new))}")
        if prompt.tokens_dropped and not self._has_dropped:  # report dropped tokens only once
            note(
                "the conversation exceeds the context of "
                f"{self.model.config.block_size} tokens; the model ignores the oldest "
                f"turns ({prompt.tokens_dropped} tokens so far)"
            )
        self._has_dropped = prompt.tokens_dropped > 0
        return self._reply(question, prompt)

    def _reply(self, question: Message, prompt: "ChatPrompt") -> Generator[str, None, None]:
        answer, decode = "", self.model.tokenizer.decode
        colors = self.shows_doubt and prompt.fixed_reply is None  # fixed replies lack probabilities
        for seed in range(self.seed, self.seed + MAX_DRAWS):
            job = self.model.reply_job(prompt, sampling=self.sampling, seed=seed)
            if not self.never or not self.never.search(decode(self.model.stream(job))):
                break
        else:
            raise PromptError(f"each of {MAX_DRAWS} replies has a word of --never; ask differently")
        stream = self.model.stream(job)
        try:
            for piece in self.model.tokenizer.decode_stream(stream):
                answer += piece
                if not colors:
                    yield terminal_safe(piece)
        finally:
            if answer.strip():
                self.messages += [question, Message("assistant", answer)]
        if colors:
            yield self._colored(prompt, answer)
        yield "\n"
        if stream.finish_reason == "length":
            note("the reply was truncated: the context is full")

    def _colored(self, prompt: "ChatPrompt", reply: str) -> str:
        """Return a reply colored by surprise, and print the mean probability of its tokens."""
        from math import exp

        from microgpt import bits
        from microgpt_cli.calibration import reply_tokens
        from microgpt_cli.commands.explain_command import style_of

        *tokens, end = reply_tokens(self.model, prompt, reply)
        mean = exp(sum(log_p for _, log_p in [*tokens, end]) / (len(tokens) + 1))
        note(f"mean probability of a token: {100 * mean:.0f} %")
        if "".join(text for text, _ in tokens) != reply:  # do not color parts of a character
            return terminal_safe(reply)
        return "".join(
            styled(terminal_safe(text), style_of(bits(-log_p))) for text, log_p in tokens
        )


def _greet(saved: "SavedModel") -> None:
    """Print the banner, and enable line editing and history."""
    from microgpt import count_params

    with suppress(ImportError):  # Windows has no readline; its console edits lines itself
        import readline

        # During a reply, readline turns Ctrl-D into NUL (Ctrl-@), so this binds NUL to Ctrl-D.
        readline.parse_and_bind(r'"\C-@": "\C-d"')

    size, unit = saved.model.block_size, saved.tokenizer.unit
    lines = [f"microgpt chat: {count_params(saved.model):,} weights, a context of {size} {unit}"]
    if examples := saved.meta.examples:
        lines.append(f"Try: {'   '.join(map(printable, examples[:N_EXAMPLES]))}")
    print(*lines, "Type exit or Ctrl-D to quit, /clear to forget.\n", sep="\n")


def _load(model_dir: Path | None) -> "SavedModel":
    """Load the given model. By default, load the chat model in `output`, or a bundled one."""
    from microgpt import load
    from microgpt_cli.model_loading import bundled_chats, load_model

    if model_dir is not None:
        return load_model(model_dir)
    problem = "not found"
    if os.path.lexists(opt.DEFAULT_MODEL_DIR):
        if (saved := load_model(opt.DEFAULT_MODEL_DIR)).tokenizer.is_chat:
            return saved
        problem = "has no chat model"
    name, directory = next(iter(bundled_chats().items()))
    note(f"{opt.DEFAULT_MODEL_DIR} {problem}; using the bundled model {name}")
    return load(directory)


def _run_chat(session: ChatSession, *, at_terminal: bool) -> None:
    """Reply to messages until the input ends; on a terminal, Ctrl-C cancels a reply or a line.

    For piped input, print an empty line for each line that has no reply.
    """
    no_reply = "" if at_terminal else "\n"
    while True:
        try:
            text = _next_message(at_terminal=at_terminal).strip()
            if text in ("/exit", "/quit") or (at_terminal and text.lower() in QUIT_WORDS):
                return
            if text == "/clear":
                session.messages.clear()
                print("(history cleared)", flush=True)
            elif text.startswith("/"):
                raise ConfigError(f"unknown command {text:.20}; the commands are /clear and /exit")
            elif text:
                _answer(session, text, at_terminal=at_terminal)
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


def _next_message(*, at_terminal: bool) -> str:
    """Return the next line of the input; raise EOFError at its end."""
    if not at_terminal:
        return input()
    try:
        return input("you> ")
    except (EOFError, KeyboardInterrupt):
        print()  # end the line of the prompt after Ctrl-D or Ctrl-C
        raise


def _answer(session: ChatSession, text: str, *, at_terminal: bool = False) -> None:
    """Print the reply to a message; after Ctrl-C at a terminal, keep the partial reply."""
    reply = session.ask(text)
    if at_terminal:
        print(session.label, end="", flush=True)
    try:
        with closing(reply):
            for piece in reply:
                print(piece, end="", flush=True)
    except KeyboardInterrupt as stop:
        goes_on = at_terminal and not isinstance(stop, Terminated)
        print(" (stopped)" if goes_on else "", flush=True)
        if not goes_on:
            raise
