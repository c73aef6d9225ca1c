"""Put the directories of the scripts that build the site on the import path."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "docs/site"))
