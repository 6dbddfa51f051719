"""vaescape: train a variational autoencoder, then visualise, measure and explore what it learned.

>>> from vaescape import Study
>>> study = Study("first-look", epochs=1, limit=512).fit()
>>> study.sample(4).shape
torch.Size([4, 1, 28, 28])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vaescape._version import __version__ as __version__

if TYPE_CHECKING:
    from vaescape.errors import VaescapeError as VaescapeError
    from vaescape.evaluation import evaluate as evaluate
    from vaescape.explore.notebook import Explorer as Explorer
    from vaescape.explore.regions import regions as regions
    from vaescape.figures import draw as draw
    from vaescape.pipeline import finish as finish
    from vaescape.pipeline import run as run
    from vaescape.recipes import Configuration as Configuration
    from vaescape.recipes import configuration as configuration
    from vaescape.study import Study as Study

_HOMES = {
    "Configuration": "recipes",
    "configuration": "recipes",
    "Explorer": "explore.notebook",
    "Study": "study",
    "VaescapeError": "errors",
    "draw": "figures",
    "evaluate": "evaluation",
    "finish": "pipeline",
    "regions": "explore.regions",
    "run": "pipeline",
}

__all__ = [*_HOMES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that ``import vaescape`` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'vaescape' has no attribute {name!r}")
    return getattr(import_module(f"vaescape.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*_HOMES, "__version__"])
