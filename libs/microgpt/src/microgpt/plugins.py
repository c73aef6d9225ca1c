"""What optional packages add: functions that are found by their entry points."""

from typing import Any


def plugin(group: str, name: str) -> Any | None:
    """Return what an installed package offers under a name, or None if no package does.

    A package names its functions in its pyproject.toml, under
    `[project.entry-points."microgpt.GROUP"]`.

    Args:
        group: `commands`, `exports`, `pages` or `plotting`.
    """
    from importlib.metadata import entry_points  # takes 20 ms, which most commands need not spend

    for found in entry_points(group=f"microgpt.{group}", name=name):
        return found.load()
    return None
