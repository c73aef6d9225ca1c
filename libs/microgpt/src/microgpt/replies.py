"""The interface of chat plug-ins, which prepare training runs and are called before each reply.

The record of a plug-in, which only the plug-in reads, is `extra[name]` in meta.json.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from microgpt.config import Sampling
from microgpt.data.text_file import TextFile
from microgpt.data.tokenizer import Document, Documents, Message, Tokenizer
from microgpt.plugins import PluginError, Tell, find_plugins, plugin

if TYPE_CHECKING:  # a model that only generates text does not need these modules
    from microgpt.config import Given
    from microgpt.data.conversation_file import Item

GROUP = "replies"


class Preparation(NamedTuple):
    """The changes that a plug-in makes to a training run."""

    given: "Given"  # the given settings, and those that the plug-in adds
    tokenizer: Tokenizer | None = None  # None: choose one that suits the documents
    extra: Mapping[str, Any] = {}  # the record in JSON; `prepare_replies` adds the plug-in's name


class ReplyHook(Protocol):
    """A plug-in's hook, which is called before the model replies."""

    sampling: Sampling | None  # sampling settings of all replies; None uses the caller's settings
    greeting: str  # the model's first message; "" if the user begins
    name: str  # the name of the character that replies; "" for none

    def choose(self, messages: Sequence[Message]) -> Sequence[Message] | str | None:
        """Return messages that replace `messages`, a fixed reply, or None to change nothing."""


class ReplyPlugin(Protocol):
    """The object, such as a module, that a plug-in in the group `microgpt.replies` provides.

    The argument `extra` is the JSON record that `prepare` has returned.
    """

    def prepare(
        self, docs: Sequence[Document], given: "Given", tell: Tell, file: TextFile | None
    ) -> Preparation | None:
        """Return the changes that the plug-in makes to a run on conversations, or None.

        Args:
            file: the file that contains the conversations, if any.
        """

    def hook(self, extra: Any) -> ReplyHook:
        """Return the hook of a model whose meta.json contains the record `extra`.

        Raises:
            CheckpointError: the record is damaged.
        """

    def tests(self, extra: Any) -> "Sequence[Item]":
        """Return test questions with expected replies; some questions are in the training data."""

    def page_facts(self, extra: Any) -> Mapping[str, Any]:
        """Return the data that a model's web page needs to give the same replies as the hook."""


def reply_plugin(name: str) -> ReplyPlugin:
    """Return a chat plug-in; raise PluginError if it is not installed."""
    found: ReplyPlugin | None = plugin(GROUP, name)
    if found is None:
        raise PluginError(
            f"the model replies with the plug-in {name!r:.80}, which is not installed; install "
            f"the package that provides it, such as microgpt-{name:.80}"
        )
    return found


def prepare_replies(
    docs: Documents, given: "Given", tell: Tell, file: TextFile | None = None
) -> Preparation:
    """Return the changes of the first plug-in that changes the training run, or no changes."""
    if docs and not isinstance(docs, str) and not isinstance(docs[0], str):
        for name in find_plugins(GROUP):
            if found := reply_plugin(name).prepare(docs, given, tell, file):
                return found._replace(extra={name: found.extra})
    return Preparation(given)
