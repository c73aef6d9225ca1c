"""`microgpt list`: list the models in a directory tree."""

import os
from collections.abc import Iterator
from pathlib import Path

from microgpt import META, CheckpointError, ConfigError, printable
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import argument


@examples("microgpt list")
def list_models(
    directory: Path = argument(Path(), "Directory to search.", "DIR", show_default=True),
) -> None:
    """List the models in a directory tree, with their size and loss.

    The loss is the held-out loss if available; otherwise, it is the mean loss of the last training
    steps. Links and hidden directories are not searched.
    """
    if not os.path.isdir(directory):
        raise ConfigError(f"the directory {directory} does not exist; use another one")
    found = list(_models(directory))
    if not found:
        note(f"no model in {directory}; train one with `microgpt train`")
        return
    rows = [("model", "kind", "weights", "loss")]
    rows += [(printable(path), kind, f"{n_params:,}", loss) for path, kind, n_params, loss in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())


def _models(top: Path) -> Iterator[tuple[str, str, int, str]]:
    """Yield the path, kind, number of weights and loss of each model in a directory tree."""
    from microgpt import count_params, has_model, has_state, load, read_meta
    from microgpt_cli.model_loading import loss_of

    for folder, names, _ in os.walk(top, onerror=lambda error: note(f"cannot read {error}")):
        names[:] = sorted(name for name in names if not name.startswith("."))
        path = Path(folder)
        is_unfinished = not has_model(path)
        if not (has_state(path) if is_unfinished else (path / META).exists()):
            continue
        try:
            meta = load(path).meta if is_unfinished else read_meta(path)
            n_params = count_params(meta.model())
        except CheckpointError as error:
            note(str(error))
            continue
        kind = ("chat" if meta.special_tokens else "text") + ", unfinished" * is_unfinished
        yield folder, kind, n_params, loss_of(meta)
