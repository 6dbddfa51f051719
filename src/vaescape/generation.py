"""Images that a latent space generates: samples, and paths from one code to another."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaescape.classes import ClassSpec
from vaescape.conditionals import Prior
from vaescape.distributions import draws
from vaescape.errors import ComponentError, OptionError
from vaescape.geometry.density import Weight
from vaescape.geometry.geodesic import Geodesics
from vaescape.geometry.paths import PathFunction, linear, spherical, traversal
from vaescape.latent_space import AT_ONCE, Array, LatentSpace

MOST_IMAGES, MOST_STEPS = 100_000, 10_000
"""What is decoded at once into memory: more is a slip of the finger."""

PATHS = ("linear", "spherical", "geodesic")
"""Ways from one code to another."""


def sample(
    space: LatentSpace,
    n: int = 64,
    label: ClassSpec | None = None,
    *,
    seed: int = 0,
    kind: Literal["means", "draws"] = "means",
    prior: Prior | None = None,
    temperature: float = 1.0,
) -> Float[Tensor, "N C H W"]:
    """Return images from draws of the prior: the decoder's means, or draws from the likelihood.

    Args:
        space: Where to draw.
        n: How many.
        label: Of a conditional model: the class to draw, or n of them; all in turn by default.
        seed: Of the draws. Where p(z) does not depend on the class, all classes have the same z.
        kind: "means" or "draws".
        prior: Another prior to draw z from, such as a fitted one; the model's own by default.
        temperature: τ, for the draws of z: Gaussians have their scales times τ, those of a
            mixture and of every layer of a ladder included, as has the noise of a flow; codes
            have their logits divided by τ. Pixels are drawn as they are.

    Raises:
        OptionError: If n is below 1, ``kind`` is another, or there is no such class or prior.
        ComponentError: For a plain autoencoder, which has no prior of its own to draw from, for
            draws from what is no density, and for a temperature that is not above 0 or has no
            meaning for the prior.
    """
    if not 1 <= n <= MOST_IMAGES or kind not in ("means", "draws"):
        raise OptionError(
            f"Give n ≥ 1, at most {MOST_IMAGES:,}, and kind 'means' or 'draws'. Got {n} and "
            f"{kind!r}."
        )
    if prior is None and not space.probabilistic:
        raise ComponentError(
            "A plain autoencoder has no prior that its codes follow, so nothing can be sampled. "
            "Fit one afterwards (vaescape fit-prior), train a VAE (recipe paper), or decode points "
            "of your own."
        )
    if kind == "draws" and not space.likelihood.normalised:
        raise ComponentError(
            f"{space.likelihood.name} is no density of grey pixels, so there is nothing to draw "
            "from. Take the decoder's means, or train with continuous-bernoulli or gaussian."
        )
    model = space.model

    def drawn(c: Tensor) -> Distribution:
        if prior is None:
            return model.sample(len(c), c, temperature)
        return model.decode((draws(prior(model.condition(c)), len(c), temperature),), c)

    with space.inference(seed):
        found = [drawn(c) for c in _conditions(space, n, label).split(AT_ONCE)]
        images = [x.mean if kind == "means" else x.sample() for x in found]
    return torch.cat(images).cpu()


def draw_codes(space: LatentSpace, n: int, *, seed: int = 0) -> Float[Tensor, "N D"]:
    """Return draws of z from the prior; of a conditional model, from p(z | c), c in turn."""
    with space.inference(seed):
        return space.model.draw(n, _conditions(space, n)).cpu()


def _conditions(space: LatentSpace, n: int, label: ClassSpec | None = None) -> Float[Tensor, "N E"]:
    """Return conditions for n codes, on the model's device: all classes in turn by default."""
    weights = space.classes.weights(space.classes.in_turn(n) if label is None else label)
    return space.classes.expand(weights, (n,)).to(space.device)


def interpolate(
    space: LatentSpace,
    a: Array,
    b: Array,
    label: ClassSpec | None = None,
    *,
    steps: int = 11,
    path: str = "linear",
    weight: Weight | None = None,
) -> Float[Tensor, "T C H W"]:
    """Return decoded images along a path from a to b, its ends included.

    Args:
        space: Where the path leads.
        a: A code (D,), a place (D + E,), or an image (C, H, W), which is encoded.
        b: Likewise.
        label: Of a conditional model: one class to stay in, or two to move between; unless the
            ends are places, which bring their own.
        steps: Images on the path, 2 or more.
        path: "linear", "spherical" or "geodesic", the shortest by the images it passes.
        weight: Of the codes that a geodesic passes: ``density(study).weight(strength)``.

    Raises:
        OptionError: For fewer than 2 steps, an unknown path or classes that are missing.
    """
    check_steps(steps)
    each = [None, None]
    if label is not None:
        each = space.classes.expand(space.classes.weights(label), (2,))
    a, b = (place(space, end, c) for end, c in zip((a, b), each, strict=True))
    walk = along(space, path, torch.stack([a, b]), weight)
    return space.decode(walk(a, b, torch.linspace(0, 1, steps)))


def along(
    space: LatentSpace, path: str, around: Float[Tensor, "N P"], weight: Weight | None = None
) -> PathFunction:
    """Return the path between places: as asked for z, linear for the classes.

    Args:
        space: Where it leads.
        path: One of ``PATHS``.
        around: Places: geodesics of a plane keep to the rectangle of these and the
            support's ``reach``, and a margin.
        weight: Of the codes that a geodesic passes; see :meth:`AggregateDensity.weight`.

    Raises:
        OptionError: For another path.
    """
    if path not in PATHS:
        raise OptionError(f"There is no path {path!r}. Known: {', '.join(PATHS)}.")
    latent, device = space.latent, space.device
    if path == "geodesic":
        reach = space.support.reach
        corners = torch.tensor([[-reach], [reach]]).expand(2, around.shape[1])
        places = torch.cat([around, corners]).to(device)
        of_place = None if weight is None else lambda place: weight(place[:, :latent])
        geodesics = Geodesics(space.mean, places, free=latent, weight=of_place)
        return lambda a, b, t: geodesics(a.to(device), b.to(device), t).cpu()
    of_codes = linear if path == "linear" else spherical

    def walk(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        z = of_codes(a[..., :latent], b[..., :latent], t)
        return torch.cat([z, linear(a[..., latent:], b[..., latent:], t)], dim=-1)

    return walk


def traverse(
    space: LatentSpace,
    dim: int,
    label: ClassSpec | None = None,
    *,
    steps: int = 11,
    reach: float = 3.0,
    center: Array | None = None,
) -> Float[Tensor, "T C H W"]:
    """Return decoded images along one dimension from −reach to reach, the others at the center.

    Raises:
        OptionError: If there is no such dimension, for fewer than 2 steps, a reach that is not
            a positive number, or a class that is missing.
    """
    check_steps(steps)
    if not 0 < reach < math.inf:
        raise OptionError(f"Give a reach above 0. Got {reach:g}.")
    origin = torch.zeros(space.latent) if center is None else torch.as_tensor(center)
    return space.decode(traversal(origin, dim, torch.linspace(-reach, reach, steps)), label)


def place(space: LatentSpace, end: Array, label: ClassSpec | None = None) -> Float[Tensor, " P"]:
    """Return the place of a code, or of an image at its own.

    Raises:
        OptionError: If it is neither, or its class is missing.
    """
    end = torch.as_tensor(end)
    if end.ndim == 3:
        return space.places(end[None], label)[0]
    if end.ndim != 1:
        raise OptionError(
            f"Expected a code of {space.latent} numbers or an image (C, H, W). "
            f"Got shape {tuple(end.shape)}."
        )
    return space.place(end.float(), label)


def check_steps(steps: int) -> None:
    """Refuse an impossible number of images on a path.

    Raises:
        OptionError: Below 2, and above ``MOST_STEPS``.
    """
    if not 2 <= steps <= MOST_STEPS:
        raise OptionError(f"Give 2 or more steps, at most {MOST_STEPS:,}. Got {steps}.")
