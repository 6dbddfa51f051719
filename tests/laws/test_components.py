"""Laws over every registered component: a new one is held to them because it is registered."""

import tarfile
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from vaescape.build import build
from vaescape.catalogue import KINDS
from vaescape.components import construct, known, texts
from vaescape.data import opened
from vaescape.data.packing import pack
from vaescape.errors import ComponentError, OptionError
from vaescape.recipes import Parts
from vaescape.testing import Case, laws, laws_of

SHAPE = (1, 8, 8)
ALL = (*KINDS, "data")
LAWS = {law.__name__: law for kind in ALL for law in laws(kind)}
FILES = ("folder", "npz", "packed", "webdataset", "parquet", "fashion-mnist", "kmnist", "mnist")
"""Data sets that need files: made below, and in tests/data."""
TESTED: list[str] = []


def tried(kind: str) -> list[str]:
    """Return the texts of a kind that need no files."""
    return [text for text in texts(kind) if kind != "data" or text not in FILES]


def over(name: str) -> Callable:
    """A test of a law over all components that it is about."""
    TESTED.append(name)
    law = LAWS[name]
    cases = [Case(kind, each) for kind in ALL if law in laws(kind) for each in tried(kind)]

    @pytest.mark.parametrize("case", cases, ids=lambda case: f"{case.kind}-{case.spec}")
    def test(case: Case):
        torch.manual_seed(0)
        law(case)

    return test


test_says_what_it_is = over("says_what_it_is")
test_every_parameter_receives_a_gradient = over("every_parameter_receives_a_gradient")
test_text_and_weights_rebuild_the_same_numbers = over("text_and_weights_rebuild_the_same_numbers")
test_trains_is_saved_and_samples = over("trains_is_saved_and_samples")
test_traces_into_one_graph = over("traces_into_one_graph")
test_goes_through_a_whole_run = over("goes_through_a_whole_run")
test_splits_are_pictures_of_one_shape_with_labels = over(
    "splits_are_pictures_of_one_shape_with_labels"
)
test_reading_again_gives_the_same_bytes = over("reading_again_gives_the_same_bytes")
test_codes_and_images_have_their_shapes = over("codes_and_images_have_their_shapes")
test_encoding_twice_gives_the_same_codes = over("encoding_twice_gives_the_same_codes")
test_fits_any_image = over("fits_any_image")
test_an_image_does_not_depend_on_its_batch = over("an_image_does_not_depend_on_its_batch")
test_posteriors_score_their_draws = over("posteriors_score_their_draws")
test_posteriors_draw_what_they_score = over("posteriors_draw_what_they_score")
test_codes_are_float32_under_a_bfloat16_network = over("codes_are_float32_under_a_bfloat16_network")
test_priors_score_their_draws = over("priors_score_their_draws")
test_priors_draw_what_they_score = over("priors_draw_what_they_score")
test_priors_take_conditions = over("priors_take_conditions")
test_likelihoods_score_images = over("likelihoods_score_images")
test_means_reach_black_and_white_and_no_further = over("means_reach_black_and_white_and_no_further")
test_densities_are_float32_under_a_bfloat16_network = over(
    "densities_are_float32_under_a_bfloat16_network"
)
test_terms_are_summed_over_pixels = over("terms_are_summed_over_pixels")
test_likelihoods_add_up_to_one_over_their_measure = over(
    "likelihoods_add_up_to_one_over_their_measure"
)
test_losses_are_finite_from_the_first_step_to_the_last = over(
    "losses_are_finite_from_the_first_step_to_the_last"
)
test_what_quantisers_ask_for_is_paid = over("what_quantisers_ask_for_is_paid")


def test_data_in_files_keep_the_laws(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 9, 7), dtype=np.uint8)
    for name, image in enumerate(pixels):
        folder = tmp_path / "pictures" / "ab"[name % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{name}.png")
    with tarfile.open(tmp_path / "train.tar", "w") as tar:
        for picture in sorted((tmp_path / "pictures" / "a").iterdir()):
            tar.add(picture, picture.name)
    labels = np.arange(24) % 3
    np.savez(
        tmp_path / "set.npz", x_train=pixels, y_train=labels, x_test=pixels[::2], y_test=labels[::2]
    )
    laws_of("data", f"folder(path={str(tmp_path / 'pictures')!r})")
    laws_of("data", f"npz(path={str(tmp_path / 'set.npz')!r})")
    pack(opened(str(tmp_path / "set.npz")), tmp_path / "packed", source="set.npz")
    laws_of("data", f"packed(path={str(tmp_path / 'packed')!r})")
    laws_of("data", f"webdataset(path={str(tmp_path / 'train.tar')!r})")
    parquet = pytest.importorskip("pyarrow.parquet")
    images = [{"bytes": path.read_bytes()} for path in sorted(tmp_path.glob("pictures/*/*.png"))]
    table = pytest.importorskip("pyarrow").table({"image": images, "label": labels})
    parquet.write_table(table, tmp_path / "train.parquet")
    laws_of("data", f"parquet(path={str(tmp_path / 'train.parquet')!r})")


def test_every_law_is_tested_over_every_kind_that_has_members():
    assert set(TESTED) == set(LAWS)
    assert all(known(kind) for kind in KINDS)


def test_a_point_with_a_kl_is_refused_with_the_reason():
    with pytest.raises(ComponentError, match=r"no density.*elbo\(beta=0\)"):
        build(Parts(posterior="point"), shape=SHAPE)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"latent": 0}, OptionError, "latent size must be 1 or more, at most 65,536. Got 0"),
        (
            {"objective": "elbo(beta=-1)"},
            ComponentError,
            "beta must be a number, zero or more. Got -1",
        ),
        ({"objective": "elbo(warmup=2)"}, ComponentError, "warmup must be a share of training"),
        ({"likelihood": "gaussian(sigma=0)"}, ComponentError, "sigma must be a number above 0"),
        ({"network": "conv(channels=[])"}, ComponentError, "channels must be one or more"),
        ({"network": "conv(channels=7)"}, ComponentError, "channels must be one or more"),
        ({"network": "mlp(hidden=0)"}, ComponentError, "hidden must be 1 or more"),
        ({"posterior": "cross-entropy"}, ComponentError, "no posterior named 'cross-entropy'"),
    ],
)
def test_impossible_values_are_refused(change, error, message):
    with pytest.raises(error, match="^") as caught:
        build(Parts(**change), shape=SHAPE)
    assert message in str(caught.value)


def test_the_learned_sigma_has_its_optimum_at_the_rms_error():
    """There the density costs D/2 (log 2πe + log MSE) exactly."""
    head = construct("likelihood", "gaussian-learned").double()
    raw, x = torch.randn(16, 1, 6, 6).double(), torch.rand(16, 1, 6, 6).double()
    adam = torch.optim.LBFGS(head.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        adam.zero_grad()
        loss = -head(raw).log_prob(x).mean()
        loss.backward()
        return loss

    adam.step(closure)
    mse = ((raw.sigmoid() - x) ** 2).mean()
    exact = 36 / 2 * (torch.log(2 * torch.pi * torch.e * mse))
    torch.testing.assert_close(-head(raw).log_prob(x).mean(), exact, rtol=1e-9, atol=0)
    torch.testing.assert_close(head.log_scale.exp(), mse.sqrt(), rtol=1e-4, atol=0)


def test_constant_images_do_not_reach_infinity():
    head = construct("likelihood", "gaussian-learned")
    raw, adam = torch.zeros(4, 1, 6, 6), torch.optim.Adam(head.parameters(), lr=1.0)
    for _ in range(200):
        adam.zero_grad()
        (-head(raw).log_prob(torch.full_like(raw, 0.5)).mean()).backward()
        adam.step()
    assert head(raw).log_prob(torch.full_like(raw, 0.5)).isfinite().all()
    assert head.log_scale.item() == pytest.approx(-6, abs=0.01)
