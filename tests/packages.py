"""Install simple Python packages into a directory, with entry points for plug-ins."""

from pathlib import Path


def write_package(site: Path, name: str, group: str, entry: str, **modules: str) -> None:
    """Write a package that has a plug-in, and modules with the given source code.

    If `site` is first on sys.path, the package hides an installed one of the same name.
    """
    about = site / f"{name.replace('-', '_')}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[microgpt.{group}]\n{entry}\n")
    for module, text in modules.items():
        (site / f"{module}.py").write_text(text)
