"""A conversation with a chat model, and its commands such as /clear and /save."""

import json
import os
import re
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt import ConfigError, DataError, Message, Sampling
from microgpt_cli.terminal.options import seed_of

if TYPE_CHECKING:
    from microgpt import InferenceGpt, TokenStream

KEYS = """exit or Ctrl-D quits; Ctrl-C stops a reply or clears the line. Alt-Enter, or Esc
then Enter, starts a new line. The arrow keys recall earlier messages; Tab completes
commands and file names."""


class ChatSession:
    """A conversation with a chat model, and the sampling settings."""

    def __init__(
        self, model: "InferenceGpt", sampling: Sampling, seed: int, tell: Callable[[str], None]
    ) -> None:
        """Start a conversation; `tell` is called with notes for the user."""
        self.messages: list[Message] = []  # messages so far; empty, or ending with a reply
        self.sampling = sampling
        self.seed = seed  # seed of the first reply; reply i uses seed + i
        self.tell = tell
        self.answers_few = model.fixed_sampling is not None
        self.was_cut = False  # whether the context was full before the end of the last reply
        self.own_files: set[str] = set()  # real paths that /save may overwrite
        self._model = model
        self._has_dropped = False
        self._noted = ""  # unknown characters reported so far

    def restart(self, messages: Iterable[Message] = ()) -> None:
        """Replace the conversation with other messages, and clear `own_files`."""
        self.messages = [*messages]
        self.own_files.clear()
        self._has_dropped = False

    def ask(self, text: str) -> Generator[str, None, None]:
        """Return the pieces of the reply to a message; raise PromptError if it is too long.

        The message and the reply, which is partial if the generator is closed, are then added.
        """
        self.was_cut = False
        # Lone surrogates represent undecodable bytes.
        question = Message("user", re.sub("[\ud800-\udfff]", "\ufffd", text))
        prompt = self._model.chat_prompt([*self.messages, question])
        self.note_unknown([question])
        if prompt.tokens_dropped and not self._has_dropped:  # report dropped tokens only once
            self.tell(
                "the conversation no longer fits into the context of "
                f"{self._model.config.block_size} tokens; the model no longer sees the oldest "
                f"turns ({prompt.tokens_dropped} tokens so far)"
            )
        self._has_dropped = prompt.tokens_dropped > 0
        job = self._model.reply_job(prompt, sampling=self.sampling, seed=self.seed)
        return self._reply(question, self._model.stream(job))

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

    def note_unknown(self, messages: list[Message]) -> None:
        """Report unknown characters that have not been reported yet."""
        text = "".join(message.content for message in messages)
        reading = self._model.tokenizer.reading(text)
        unknown = [chr(code) for code, other in reading.items() if other is None]
        if new := [char for char in unknown if char not in self._noted]:
            self._noted += "".join(new)
            self.tell(
                f"removed characters that are not in the vocabulary: {', '.join(map(repr, new))}"
            )


@dataclass(frozen=True)
class Command:
    """A chat command with its help text and function."""

    value: str  # name of the argument in /help; empty if there is no argument
    help: str
    run: Callable[[ChatSession, str], str]  # returns the text to show


def is_command(text: str) -> bool:
    """Return whether the input is a chat command rather than a message."""
    return text.startswith("/") and "\n" not in text


def run_command(session: ChatSession, text: str) -> str:
    """Run a chat command and return the text to show; raise EOFError for /exit or /quit."""
    name, _, value = text.partition(" ")
    command = COMMANDS.get("/exit" if name == "/quit" else name)
    if command is None:
        raise ConfigError(f"unknown command {name:.20}; /help lists the commands")
    value = value.strip()
    if value and not command.value:
        raise ConfigError(f"{name} takes no argument, got {value!r:.20}")
    if session.answers_few and name in ("/temperature", "/seed"):
        raise ConfigError(f"{name} has no effect: the model repeats answers that it has learned")
    return command.run(session, value)


def _clear(session: ChatSession, _: str) -> str:
    session.restart()
    return "(history cleared)"


def _temperature(session: ChatSession, value: str) -> str:
    if value:
        try:
            session.sampling = replace(session.sampling, temperature=float(value))
        except ValueError:
            raise ConfigError(f"temperature must be a number, got {value!r:.20}") from None
    return f"(temperature {session.sampling.temperature})"


def _seed(session: ChatSession, value: str) -> str:
    if value:
        session.seed = seed_of(value)
    return f"(seed {session.seed})"


def _save(session: ChatSession, name: str) -> str:
    """Write the conversation as one line of JSONL. Overwrite only this conversation's files."""
    from microgpt import publish

    path = _path("/save", name)
    if not session.messages:
        raise ConfigError("the conversation is empty; there is nothing to save")
    if os.path.lexists(path) and os.path.realpath(path) not in session.own_files:
        raise ConfigError(
            f"{path} exists and does not belong to this conversation; use another file"
        )
    turns = [{"role": one.role, "content": one.content} for one in session.messages]
    line = json.dumps(turns, ensure_ascii=False) + "\n"
    publish(path.parent, {path.name: line.encode()})
    session.own_files.add(os.path.realpath(path))
    return f"({len(turns)} messages written to {path})"


def _load(session: ChatSession, name: str) -> str:
    from microgpt import load_chat_tests

    path = _path("/load", name)
    conversations = load_chat_tests(path, tell=session.tell).conversations
    if len(conversations) > 1:
        raise DataError(
            f"{path} has {len(conversations):,} conversations; /load requires exactly one"
        )
    session.restart(conversations[0])
    session.own_files.add(os.path.realpath(path))
    session.note_unknown(session.messages)
    return f"({len(session.messages)} messages read from {path})"


def _help(session: ChatSession, _: str) -> str:
    usages = {f"{name} {command.value}": command.help for name, command in COMMANDS.items()}
    width = max(map(len, usages))
    return "\n".join([*(f"{usage:<{width}}  {text}" for usage, text in usages.items()), "", KEYS])


def _exit(session: ChatSession, _: str) -> str:
    raise EOFError


def _path(command: str, name: str) -> Path:
    if not name:
        raise ConfigError(f"{command} requires a file name")
    if "\0" in name:
        raise ConfigError(f"a file name cannot contain a null character, got {name!r:.20}")
    return Path(os.path.expanduser(name))


COMMANDS = {
    "/clear": Command("", "clear the conversation", _clear),
    "/temperature": Command("[NUMBER]", "show or set the sampling temperature", _temperature),
    "/seed": Command("[NUMBER]", "show or set the seed of the first reply", _seed),
    "/save": Command("FILE", "save the conversation in the format of train --chat", _save),
    "/load": Command("FILE", "continue a conversation from a file", _load),
    "/help": Command("", "show this help", _help),
    "/exit": Command("", "quit", _exit),
}
