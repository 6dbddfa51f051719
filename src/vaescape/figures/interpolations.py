"""Figure ``interpolations``."""

import torch

from vaescape import plots
from vaescape.figures.base import Figure
from vaescape.figures.view import classes_of, exemplars
from vaescape.generation import PATHS, along
from vaescape.metrics.smoothness import cross_fade
from vaescape.study import Study


class Interpolations(Figure, name="interpolations"):
    """Between test images of different classes: linear, spherical, geodesic, pixel cross-fade."""

    title = "From one image to another"
    caption = (
        "Paths from one test image to another, decoded: the straight line in latent space, the "
        "arc, the path along which the image changes least (the geodesic) and, for comparison, a "
        "cross-fade of the pixels. A smooth latent space "
        "transforms one image into the other; a cross-fade shows both at once."
    )
    alt = "Strips of decoded images that lead from one test image to another."
    chapter = "Interpolations"
    order = 80

    def draw(
        self, study: Study, *, steps: int = 11, pairs: int = 5, seed: int = 0, theme: str = "light"
    ) -> plots.Picture:
        names, images = zip(*exemplars(study, 2 * pairs, seed), strict=True)
        label = classes_of(study, [study.classes.number(name) for name in names])
        x, t = study.space.floats(torch.stack(images)).cpu(), torch.linspace(0, 1, steps)
        (a, b), (from_, to) = (
            (of[::2], of[1::2]) for of in (study.space.places(torch.stack(images), label), x)
        )
        strips = {
            name: study.decode(along(study.space, name, torch.cat([a, b]))(a, b, t))
            for name in PATHS
        }
        strips["pixel cross-fade"] = cross_fade(x).path(from_, to, t)
        rows = [(name, strip[pair]) for pair in range(pairs) for name, strip in strips.items()]
        ends = [(from_[pair], to[pair]) for pair in range(pairs) for _ in strips]
        note = "; ".join(f"{a} to {b}" for a, b in zip(names[::2], names[1::2], strict=True))
        return plots.interpolation_strips(
            rows, originals=ends, note=note, group=len(strips), theme=theme
        )
