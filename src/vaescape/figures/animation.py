"""Figure ``animation``."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from vaescape import plots
from vaescape.figures.base import Figure
from vaescape.figures.view import encoded
from vaescape.geometry.paths import linear
from vaescape.study import Study


class Animation(Figure, name="animation"):
    """A loop through latent space past the medoid of each class, as a GIF."""

    title = "A walk through the classes"
    caption = "A closed path through latent space, past the medoid of each class."
    alt = "An animation of decoded images along a path through latent space."
    chapter = "Interpolations"
    order = 100

    def draw(self, study: Study, *, steps: int = 24, theme: str = "light") -> plots.Picture:
        """Return its frames side by side."""
        note = "the frames of the walk, row by row"
        return plots.samples(_frames(study, steps), kind="decoder means", note=note, theme=theme)

    def save(self, study: Study, path: Path, *, theme: str = "light", steps: int = 24) -> Path:
        """Write the GIF; return its path."""
        frames = _frames(study, steps)
        return plots.animated_gif(frames, path.with_suffix(".gif"), ping_pong=False)


def _frames(study: Study, steps: int) -> Float[Tensor, "T C H W"]:
    """Return decoded images along straight lines from medoid to medoid, back to the first."""
    e = encoded(study)
    middle = plots.class_medoids(e.z, e.labels, len(study.classes))
    places = torch.cat([e.z, study.space.weights_of(study.test[: len(e.z)])], dim=-1)
    stops = places[torch.from_numpy(middle[middle >= 0])]
    t = torch.linspace(0, 1, steps)
    legs = [linear(a, b, t)[:-1] for a, b in zip(stops, stops.roll(-1, 0), strict=True)]
    return study.decode(torch.cat(legs))
