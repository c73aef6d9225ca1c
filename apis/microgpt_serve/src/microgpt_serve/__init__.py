"""HTTP service: a FastAPI app that serves one model.

    import uvicorn
    from microgpt_serve import Settings, create_app

    uvicorn.run(create_app(Settings(model_dir="output")))

The public names are imported on first use, so that importing the package is cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from microgpt_serve.app import create_app
    from microgpt_serve.settings import Settings

__all__ = ["Settings", "create_app"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{'app' if name == 'create_app' else 'settings'}")
    return getattr(module, name)
