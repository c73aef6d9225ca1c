"""HTTP service: a FastAPI app that serves models.

The public names are imported on first use, so that importing the package is cheap.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"app": ["create_app"], "service_settings": ["ServiceSettings"]}
)
