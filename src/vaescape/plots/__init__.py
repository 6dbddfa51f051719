"""Every figure: pure functions from arrays to a ``Figure`` that shows itself in a notebook.

Importing this package loads nothing heavy; matplotlib is imported with the first figure. Each
function takes ``theme`` (``"light"`` or ``"dark"``) and, where classes are drawn, ``colours`` from
:func:`class_colours`, so that a class has one colour in all figures of a run.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaescape.plots.borders import regions
    from vaescape.plots.charts import compare, kl_bars, training_curves
    from vaescape.plots.fields import (
        Field,
        class_centroids,
        class_medoids,
        class_overlap,
        neighbour_field,
    )
    from vaescape.plots.maps import AXES_NAMES, latent_map
    from vaescape.plots.motion import animated_gif
    from vaescape.plots.palette import assign_colours, class_colours
    from vaescape.plots.planes import manifold, manifold_with_map
    from vaescape.plots.sheets import (
        codes,
        interpolation_grid,
        interpolation_strips,
        reconstruction_strip,
        reconstructions,
        samples,
        traversals,
    )
    from vaescape.plots.style import Picture, latent_name, save_figure

_HOMES = {
    "borders": "regions",
    "charts": "compare kl_bars training_curves",
    "fields": "Field class_centroids class_medoids class_overlap neighbour_field",
    "maps": "AXES_NAMES latent_map",
    "motion": "animated_gif",
    "palette": "assign_colours class_colours",
    "planes": "manifold manifold_with_map",
    "sheets": "codes interpolation_grid interpolation_strips reconstruction_strip reconstructions "
    "samples traversals",
    "style": "Picture latent_name save_figure",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "AXES_NAMES",
    "Field",
    "Picture",
    "animated_gif",
    "assign_colours",
    "class_centroids",
    "class_colours",
    "class_medoids",
    "class_overlap",
    "codes",
    "compare",
    "interpolation_grid",
    "interpolation_strips",
    "kl_bars",
    "latent_map",
    "latent_name",
    "manifold",
    "manifold_with_map",
    "neighbour_field",
    "reconstruction_strip",
    "reconstructions",
    "regions",
    "samples",
    "save_figure",
    "training_curves",
    "traversals",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
