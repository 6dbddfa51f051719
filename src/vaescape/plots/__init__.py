"""Every figure: pure functions from arrays to a ``Figure`` that shows itself in a notebook.

Importing this package loads nothing heavy; matplotlib is imported with the first figure. Each
function takes ``theme`` (``"light"`` or ``"dark"``) and, where classes are drawn, ``colours`` from
:func:`class_colours`, so that a class has one colour in all figures of a run.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaescape.plots.borders import regions as regions
    from vaescape.plots.charts import compare as compare
    from vaescape.plots.charts import kl_bars as kl_bars
    from vaescape.plots.charts import training_curves as training_curves
    from vaescape.plots.fields import Field as Field
    from vaescape.plots.fields import class_centroids as class_centroids
    from vaescape.plots.fields import class_medoids as class_medoids
    from vaescape.plots.fields import class_overlap as class_overlap
    from vaescape.plots.fields import neighbour_field as neighbour_field
    from vaescape.plots.maps import AXES_NAMES as AXES_NAMES
    from vaescape.plots.maps import latent_map as latent_map
    from vaescape.plots.motion import animated_gif as animated_gif
    from vaescape.plots.palette import assign_colours as assign_colours
    from vaescape.plots.palette import class_colours as class_colours
    from vaescape.plots.planes import manifold as manifold
    from vaescape.plots.planes import manifold_with_map as manifold_with_map
    from vaescape.plots.sheets import codes as codes
    from vaescape.plots.sheets import interpolation_grid as interpolation_grid
    from vaescape.plots.sheets import interpolation_strips as interpolation_strips
    from vaescape.plots.sheets import reconstruction_strip as reconstruction_strip
    from vaescape.plots.sheets import reconstructions as reconstructions
    from vaescape.plots.sheets import samples as samples
    from vaescape.plots.sheets import traversals as traversals
    from vaescape.plots.style import Picture as Picture
    from vaescape.plots.style import latent_name as latent_name
    from vaescape.plots.style import save_figure as save_figure

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


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME_OF)
