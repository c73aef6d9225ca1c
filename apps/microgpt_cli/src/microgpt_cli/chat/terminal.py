"""Chat input on a terminal with prompt_toolkit: editing, history and completion."""

from collections.abc import Iterable
from contextlib import suppress

from platformdirs import user_state_path
from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import create_output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.shortcuts import CompleteStyle

from microgpt_cli.chat.session import COMMANDS
from microgpt_cli.terminal.signals import StopRequest

USER_COLOR, MODEL_COLOR = "ansigreen", "ansicyan"  # colors of the labels


class TerminalInput:
    """Reads messages and prints labels, in color unless NO_COLOR is set."""

    def __init__(self) -> None:
        """Create a prompt that completes the commands of a chat."""
        self._output = create_output()
        if isinstance(self._output, Vt100_Output):
            self._output.enable_cpr = False  # do not query the cursor position
        self._session: PromptSession[str] = PromptSession(
            multiline=True,
            key_bindings=_key_bindings(),
            history=_history(),
            completer=_Completer(),
            complete_style=CompleteStyle.READLINE_LIKE,
            complete_while_typing=False,
            enable_suspend=True,
            output=self._output,
        )

    def ask(self, label: str) -> str:
        """Read a message; raise EOFError on Ctrl-D, and KeyboardInterrupt on a signal."""
        app = self._session.app

        def leave() -> None:
            if stop.reason and app.future and not app.future.done():
                app.exit(exception=stop.reason)

        def wake() -> None:
            if app.loop:  # without a loop, `pre_run` exits as soon as the prompt starts
                app.loop.call_soon_threadsafe(leave)

        stop = StopRequest(wake)  # an exception inside the event loop would corrupt its state
        try:
            with stop:
                text = FormattedText([(USER_COLOR, label)])
                return self._session.prompt(text, handle_sigint=False, pre_run=leave)
        finally:
            if stop.reason:  # a signal takes precedence over a message
                raise stop.reason

    def show_label(self, label: str) -> None:
        """Print the label that precedes a reply."""
        print_formatted_text(FormattedText([(MODEL_COLOR, label)]), end="", output=self._output)


def _history() -> History:
    """Return the input history, stored in a file if possible."""
    try:
        folder = user_state_path("microgpt", appauthor=False)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # readable only by the user
    except (OSError, RuntimeError):  # RuntimeError: there is no home directory
        return InMemoryHistory()
    return _History(folder / "chat_history")


class _History(FileHistory):
    """File history that ignores read and write errors."""

    def load_history_strings(self) -> Iterable[str]:
        with suppress(OSError):
            return super().load_history_strings()
        return []

    def store_string(self, string: str) -> None:
        with suppress(OSError):
            super().store_string(string)


class _Completer(Completer):
    def __init__(self) -> None:
        self._files = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        name, separator, path = text.partition(" ")
        if separator and name in COMMANDS and COMMANDS[name].value == "FILE":
            yield from self._files.get_completions(Document(path), event)
        for name, command in COMMANDS.items():
            if name.startswith(text):
                yield Completion(name + (" " if command.value else ""), start_position=-len(text))


def _key_bindings() -> KeyBindings:
    """Return key bindings: Enter sends, Alt-Enter (or Esc, Enter) starts a new line."""
    keys = KeyBindings()

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _start_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys
