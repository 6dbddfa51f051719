"""Every entrance takes the same pixels: bytes as any integers, or floats in [0, 1]."""

import numpy as np
import pytest
import torch

from vaescape import Study
from vaescape.errors import OptionError


@pytest.fixture(scope="module")
def study() -> Study:
    return Study("first-look", limit=64, network="mlp(hidden=8)")


def test_the_same_image_has_the_same_code_in_every_kind_of_number(study: Study):
    images = study.test[:3].pixels
    z = study.encode(study.test[:3])
    assert torch.equal(study.encode(images.long()), z)
    assert torch.equal(study.encode(images.numpy().astype("int16")), z)  # pyright: ignore
    assert torch.equal(study.encode(study.test[:3].floats()), z)
    assert torch.equal(study.decode(z.numpy()), study.decode(z))  # pyright: ignore


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (lambda x: 2 * x - 1, "from -1 to"),
        (lambda x: x.mul(np.nan), "nan"),
        (lambda x: (x * 255).long() + 1, "to 256"),
    ],
)
def test_another_range_is_refused_everywhere(study: Study, images, words: str):
    given = images(torch.cat([torch.ones(1, *study.shape), study.test[:2].floats()]))
    space = study.space
    for entrance in (study.encode, study.reconstruct, space.posterior, space.places):
        with pytest.raises(OptionError, match=words):
            entrance(given)
    with pytest.raises(OptionError, match=words):
        study.interpolate(given[0], given[1])
