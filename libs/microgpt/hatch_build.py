"""Put the repository's data/ into the distributions, as microgpt/_data.

A checkout reads data/ where it lies (microgpt.data.documents.bundled), so an editable install takes
no copy.
A wheel that is built from our own sdist finds the files already inside the package.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOR_BENCHES = {"oasst1_chat.jsonl", "OASST1_LICENSE"}  # decision 26


class BundleData(BuildHookInterface):
    """Add each bundled file to the wheel or sdist that is being built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Map every file of data/ to its place in the distribution."""
        data = Path(self.root).parents[1] / "data"
        if version == "editable" or not data.is_dir():
            return
        package = "src/microgpt" if self.target_name == "sdist" else "microgpt"
        for file in sorted(data.rglob("*")):
            if file.is_file() and file.name not in FOR_BENCHES:
                place = file.relative_to(data).as_posix()
                build_data["force_include"][str(file)] = f"{package}/_data/{place}"
