"""Plug-ins of chats: what they record of a training run, and their hook before a reply.

The record of a plug-in is in the `extra` of meta.json, under the name of the plug-in. Only the
plug-in reads it.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from microgpt.config import Sampling
from microgpt.data.text_file import TextFile
from microgpt.data.tokenizer import Document, Documents, Message, Tokenizer
from microgpt.plugins import PluginError, Tell, find_plugins, plugin

if TYPE_CHECKING:  # a model that only generates needs none of them
    from microgpt.config import Given
    from microgpt.data.conversation_file import Item

GROUP = "replies"


class Preparation(NamedTuple):
    """What a plug-in wants of a training run."""

    given: "Given"  # settings, with those that the plug-in adds
    tokenizer: Tokenizer | None = None  # None: one that suits the documents
    extra: Mapping[str, Any] = {}  # JSON, by the name of the plug-in


class ReplyHook(Protocol):
    """What a plug-in does before the model replies."""

    sampling: Sampling | None  # of all replies; None: the caller chooses
    greeting: str  # what the model says first; empty: nothing

    def choose(self, messages: Sequence[Message]) -> Sequence[Message] | str | None:
        """Return other messages for the model to read, the reply itself, or None for neither."""


class ReplyPlugin(Protocol):
    """The object of a plug-in in the group `microgpt.replies`, such as a module.

    Each `extra` is the JSON that the plug-in has recorded.
    """

    def prepare(
        self, docs: Sequence[Document], given: "Given", tell: Tell, file: TextFile | None
    ) -> Preparation | None:
        """Return what training on these conversations needs, or None to leave it as it is.

        Args:
            file: the file that they come from, if any.
        """

    def hook(self, extra: Any) -> ReplyHook:
        """Return the hook of a model.

        Raises:
            CheckpointError: the record is damaged.
        """

    def tests(self, extra: Any) -> "Sequence[Item]":
        """Return questions of the training data and others, with the expected replies."""

    def page_facts(self, extra: Any) -> Mapping[str, Any]:
        """Return the data with which the page of a model does what the hook does."""


def reply_plugin(name: str) -> ReplyPlugin:
    """Return a plug-in of chats; raise PluginError if it is not installed."""
    found: ReplyPlugin | None = plugin(GROUP, name)
    if found is None:
        raise PluginError(
            f"the model replies with the plug-in {name!r:.80}, which is not installed; install "
            f"the package that has it, such as microgpt-{name:.80}"
        )
    return found


def prepare_replies(
    docs: Documents, given: "Given", tell: Tell, file: TextFile | None = None
) -> Preparation:
    """Return what the first plug-in wants that has a use for the documents of a file."""
    if docs and not isinstance(docs, str) and not isinstance(docs[0], str):
        for name in find_plugins(GROUP):
            if found := reply_plugin(name).prepare(docs, given, tell, file):
                return found._replace(extra={name: found.extra})
    return Preparation(given)
