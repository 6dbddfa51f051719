"""Invertible maps that depend on a context: lists of zuko's modules, which return transforms."""

from types import ModuleType

from torch import nn
from torch.distributions import Distribution

from vaescape.extras import require_extra


def autoregressive(
    features: int, transforms: int, hidden: int, *, context: int = 0, coupling: bool = False
) -> nn.ModuleList:
    """Return affine maps in which each dimension depends on those before it.

    Papamakarios et al. (2017), section 3. With coupling, the second half of the dimensions depends
    on the first, and the first on none (Dinh et al. 2017, eq. 4 and 5).

    Args:
        features: D.
        transforms: Maps, each in the other order of dimensions than the one before.
        hidden: Width of the two hidden layers of each map.
        context: Size of what else the maps depend on.
        coupling: As above; then the inverse takes 2 passes and not D.
    """
    passes = 2 if coupling else None
    flow = _zuko().flows.MAF(
        features, context, transforms=transforms, hidden_features=(hidden, hidden), passes=passes
    )
    return flow.transform.transforms


def splines(
    features: int, transforms: int, hidden: int, *, bins: int, context: int = 0
) -> nn.ModuleList:
    """Return the same maps with monotone rational-quadratic splines on [−5, 5].

    Durkan et al. (2019), section 3.1; outside, the identity.
    """
    flow = _zuko().flows.NSF(
        features, context, bins=bins, transforms=transforms, hidden_features=(hidden, hidden)
    )
    return flow.transform.transforms


def _zuko() -> ModuleType:
    """Return zuko. Its import turns the validation of all of torch's distributions off: undone."""
    require_extra("flows", "A flow")
    validating = Distribution._validate_args
    import zuko

    Distribution.set_default_validate_args(validating)
    return zuko
