"""Figure ``animation``."""

from pathlib import Path

import torch

from vaescape import plots
from vaescape.errors import OptionError
from vaescape.figures.base import Figure
from vaescape.figures.view import encoded
from vaescape.geometry.paths import linear
from vaescape.study import Study


class Animation(Figure, name="animation"):
    """A loop through latent space past the medoid of each class, as a GIF."""

    title = "A walk through the classes"
    caption = "A loop through latent space, past the medoid of each class."
    alt = "An animation of decoded images along a path through latent space."
    order = 100

    def draw(self, study: Study, *, theme: str = "light") -> plots.Picture:
        """Refuse: there is no still of it."""
        raise OptionError(
            "The figure 'animation' moves: `vaescape figures RUN animation` writes a GIF."
        )

    def save(self, study: Study, path: Path, *, theme: str = "light", steps: int = 24) -> Path:
        """Write the GIF."""
        e = encoded(study)
        middle = plots.class_medoids(e.z, e.labels, len(study.classes))
        places = torch.cat([e.z, study.weights_of(study.test[: len(e.z)])], dim=-1)
        stops = places[torch.from_numpy(middle[middle >= 0])]
        t = torch.linspace(0, 1, steps)
        legs = [linear(a, b, t)[:-1] for a, b in zip(stops, stops.roll(-1, 0), strict=True)]
        frames = study.decode(torch.cat(legs))
        return plots.animated_gif(frames, path.with_suffix(".gif"), ping_pong=False)
