"""What a saved page carries for a training of its own, and where it carries nothing."""

import base64
import gzip

import pytest

from vaescape.explore.sections.networks import training
from vaescape.explore.view import View
from vaescape.recipes import configuration
from vaescape.study import Study


def study(images: int = 400, **changes) -> Study:
    given = {"data": f"shapes(images={images}, size=12, vary=['scale', 'x'])", "threads": 1}
    return Study(configuration("swift", **given | changes))


def test_a_training_in_the_page_is_described_and_small():
    entries, blobs = training(View(study()))
    about = entries["trainable"]
    assert blobs.keys() == {"train_step", "train_look", "train_decoder"}
    assert (about["batch"], about["points"]) == (256, 576)
    assert about["knobs"] == {"beta": 1.0, "lr": pytest.approx(0.01), "seed": 0}
    layers = 2 * 96, 192 * 194, 192, 144 * 192, 144
    assert about["weights"] == sum(layers)
    size = sum(len(base64.b64encode(gzip.compress(blob.content))) for blob in blobs.values())
    assert size < 40_000


@pytest.mark.parametrize("options", [{"originals": "none"}, {"carry": False}], ids=str)
def test_a_page_without_images_or_networks_trains_nothing(options: dict):
    assert training(View(study(), **options)) == ({"trainable": None}, {})


def test_neither_does_one_of_few_images_or_of_another_model():
    for other in (study(images=120), study(posterior="gaussian")):
        assert training(View(other)) == ({"trainable": None}, {})
