"""Of rendered shapes, only the factors that are asked for vary."""

import pytest
import torch

from vaescape.data.shapes import FACTORS, Shapes
from vaescape.errors import ComponentError


def test_what_does_not_vary_is_in_the_middle_and_the_rest_is_as_before():
    every, some = Shapes(images=64), Shapes(images=64, vary=["scale", "x"])
    before, found = every.load("train").factors, some.load("train").factors
    assert before is not None
    assert found is not None
    names = list(FACTORS)
    for name in ("shape", "scale", "x"):
        assert torch.equal(found[:, names.index(name)], before[:, names.index(name)])
    assert (found[:, names.index("orientation")] == 0).all()
    assert (found[:, names.index("y")] == 0.5).all()
    assert torch.equal(
        Shapes(images=64, vary=["scale", "orientation", "x", "y"]).load("train").pixels,
        every.load("train").pixels,
    )


def test_an_unknown_factor_is_refused():
    with pytest.raises(ComponentError, match="scale, orientation, x, y"):
        Shapes(vary=["colour"])
