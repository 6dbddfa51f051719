"""Black and white images: drawn once as the protocol says, or anew as a function of the step."""

import hashlib

import pytest
import torch

from vaescape import Study, evaluate
from vaescape.components import construct
from vaescape.data import Batches, Images, Splits, binarised, splits
from vaescape.data.fashion_mnist import DEBIAN
from vaescape.errors import DataError, OptionError

SMALL = {
    "network": "mlp(hidden=8)",
    "likelihood": "bernoulli",
    "limit": 120,
    "batch": 40,
    "epochs": 1,
}


@pytest.fixture(scope="module")
def shapes() -> Splits:
    return splits(construct("data", "shapes(images=200)"), validation=50)


def black_and_white(images: Images | None) -> bool:
    return images is not None and set(images.pixels.unique().tolist()) == {0, 255}


@pytest.mark.skipif(not DEBIAN.exists(), reason="Fashion-MNIST is not installed here")
def test_the_protocols_test_images_bit_for_bit():
    """Validation first, then test, from NumPy's legacy generator with seed 777."""
    data = construct("data", "fashion-mnist", data_dir=DEBIAN, cache=None)
    found = binarised(splits(data, validation=10_000), "fixed")
    bits = (found.test.pixels // 255).numpy()
    assert hashlib.md5(bits.tobytes()).hexdigest() == "6f51c586f89d9c6fabe5931d6f242f3c"
    assert bits.mean() == pytest.approx(0.28682, abs=5e-6)
    assert len(found.train) == 50_000


def test_fixed_is_drawn_once_and_none_is_grey(shapes: Splits):
    fixed, again = binarised(shapes, "fixed"), binarised(shapes, "fixed")
    for split in (fixed.train, fixed.validation, fixed.test):
        assert black_and_white(split)
    assert torch.equal(fixed.train.pixels, again.train.pixels)
    assert fixed.grey is None
    assert binarised(shapes, "none") is shapes
    bright = shapes.train.pixels == 255
    assert (fixed.train.pixels[bright] == 255).all()


def test_dynamic_keeps_what_is_measured_fixed(shapes: Splits):
    fixed, dynamic = binarised(shapes, "fixed"), binarised(shapes, "dynamic")
    assert dynamic.grey is shapes.train
    assert torch.equal(fixed.test.pixels, dynamic.test.pixels)
    assert torch.equal(fixed.train.pixels, dynamic.train.pixels)


def test_an_unknown_way_is_refused(shapes: Splits):
    with pytest.raises(OptionError, match="binarise 'dynamc'. Did you mean 'dynamic'"):
        binarised(shapes, "dynamc")


def test_dynamic_batches_are_a_function_of_seed_and_step():
    grey = torch.full((40, 1, 5, 5), 51, dtype=torch.uint8)
    labels = torch.zeros(40, dtype=torch.long)
    batches, again = (Batches(grey, labels, batch=20, seed=3, binarise=True) for _ in range(2))
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    first, second = batches.at(0).x, batches.at(1).x
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(again.at(1).x, second)
    assert torch.equal(again.at(0).x, first)
    assert not torch.equal(first, second)
    assert not torch.equal(Batches(grey, labels, batch=20, seed=4, binarise=True).at(0).x, first)
    drawn = torch.cat([batches.at(step).x for step in range(200)])
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert drawn.mean().item() == pytest.approx(51 / 255, abs=0.005)


def test_a_bernoulli_study_is_a_likelihood_from_end_to_end():
    with pytest.raises(DataError, match="--binarise dynamic"):
        Study("first-look", **SMALL).fit()
    study = Study("first-look", binarise="dynamic", **SMALL).fit()
    assert black_and_white(study.train)
    assert black_and_white(study.test)
    found = evaluate(study, bounds=((10, 20),), paths=12)
    assert found["reconstruction_term"] == "negative_log_likelihood"
    assert 0 < found["train"]["negative_elbo"] < 1e4
    assert 0 < found["test"]["importance_weighted_bound"]["10"]["nats"] < 1e4
