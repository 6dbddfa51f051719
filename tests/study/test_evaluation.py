"""Evaluation and figures of models of every shape."""

import math
import statistics

import pytest
import torch

from vaescape import Study, draw, evaluate
from vaescape.errors import ComponentError, OptionError
from vaescape.evaluation import annealed_bound, elbo, importance_bound, sample_quality
from vaescape.evaluation.latents import aggregate_posterior, prior_draws
from vaescape.figures import drawable, names
from vaescape.generation import along
from vaescape.latent_space import AT_ONCE
from vaescape.metrics.latents import mmd2
from vaescape.study import density

SMALL = {"network": "conv(channels=[4], hidden=5)", "epochs": 0.3, "limit": 300}
FOURIER = {"network": "fourier(features=4)"}
QUICK = {"bounds": ((20, 30),), "paths": 12}


@pytest.fixture(scope="module")
def study() -> Study:
    return Study("first-look", **SMALL).fit()


@pytest.fixture(scope="module")
def metrics(study: Study) -> dict:
    return evaluate(study, **QUICK)


def test_the_elbo_is_the_sum_of_its_terms(metrics):
    test = metrics["test"]
    assert test["negative_elbo"] == pytest.approx(test["cross_entropy"] + test["kl"])
    assert test["kl"] == pytest.approx(sum(test["kl_per_dimension"]), rel=1e-5)
    assert metrics["reconstruction_term"] == "cross_entropy"


def test_a_ragged_last_part_counts_as_its_images_do(study: Study):
    images = study.test[torch.arange(AT_ONCE + 3) % len(study.test)]
    whole = elbo(study, images)["kl"]
    kl = study.space.posterior(images)
    exact = 0.5 * (kl.mean**2 + kl.variance - kl.variance.log() - 1).sum(-1).mean()
    assert whole == pytest.approx(exact.item(), rel=1e-5)


def test_the_bound_does_not_depend_on_the_chunk(study: Study):
    found = [importance_bound(study, 20, images=50, chunk=chunk) for chunk in (7, 64, 1000)]
    for other in found[1:]:
        assert other["nats"] == pytest.approx(found[0]["nats"], rel=1e-6)


def test_nor_does_the_bound_of_a_bfloat16_run():
    study = Study("first-look", **SMALL | FOURIER, precision="bfloat16")  # pyright: ignore
    exact = Study("first-look", **SMALL | FOURIER)  # pyright: ignore
    exact.model.load_state_dict(study.fit().model.state_dict())
    found = [importance_bound(study, 20, images=50, chunk=chunk)["nats"] for chunk in (7, 64, 1000)]
    assert found == pytest.approx([found[0]] * 3, rel=1e-4)
    assert found[0] == pytest.approx(importance_bound(exact, 20, images=50)["nats"], rel=1e-3)


def test_more_samples_tighten_the_bound(study: Study):
    one, many = (importance_bound(study, k, images=100, pool=1)["nats"] for k in (1, 200))
    assert many < one


def test_only_images_whose_codes_can_be_close_share_their_draws():
    wide = Study("first-look", **SMALL, latent=8).fit()
    assert importance_bound(wide, 5, images=10)["pool"]["largest"] == 1
    with pytest.raises(OptionError, match="at most"):
        importance_bound(wide, 5, images=10, pool=4)


@pytest.mark.parametrize(
    "posterior", ["gaussian", "full-rank", "iaf(transforms=1)", "spline", "power-spherical"]
)
def test_shared_draws_give_the_bound_that_draws_of_its_own_tend_to(posterior: str):
    parts = {"posterior": posterior, "likelihood": "gaussian(sigma=1.5)", "latent": 3}
    study = Study("first-look", **SMALL, **parts).fit()
    own = importance_bound(study, 1000, images=60, pool=1)
    shared = importance_bound(study, 2000, images=60)
    assert (own["pool"]["largest"], shared["pool"]["largest"]) == (1, 60)
    assert (own["draws"], shared["draws"]) == (
        {"fewest": 1000, "most": 1000},
        {"fewest": 2040, "most": 2040},
    )
    assert shared["nats"] == pytest.approx(own["nats"], abs=0.05)
    assert shared["nats"] < importance_bound(study, 1, images=60, pool=1)["nats"] - 0.1


def test_the_sizes_of_the_groups_and_the_draws_are_those_there_were(study: Study):
    """250 images are halved twice, into 62 and 63; 100 draws take two of each image."""
    found = importance_bound(study, 100, images=250)
    assert found["pool"] == {"smallest": 62, "largest": 63}
    assert found["draws"] == {"fewest": 124, "most": 126}


@pytest.mark.parametrize("changes", [{}, {"conditional": True}, {"prior": "mixture"}])
@pytest.mark.parametrize("start", ["posterior", "prior"])
def test_annealing_stands_where_the_bound_does(changes: dict, start: str):
    """With a decoder that hardly looks at z, p(x) is nearly p(x | 0): both find it."""
    made = Study("first-look", **SMALL | {"limit": 30}, **changes)
    for parameter in made.model.likelihood.parameters():
        parameter.data *= 0.3
    found = annealed_bound(made, 7, temperatures=5, chains=4, start=start)  # pyright: ignore
    assert found["images"] == found["importance_weighted_bound"]["images"] == 7
    assert found["nats"] == pytest.approx(found["importance_weighted_bound"]["nats"], abs=2)
    assert 1 <= found["effective_samples"] <= 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"images": -5}, "images must be at least 1"), ({"start": "zero"}, "'posterior' or the")],
)
def test_impossible_annealing_is_refused(study: Study, wrong: dict, message: str):
    with pytest.raises(OptionError, match=message):
        annealed_bound(study, **wrong)


def test_annealing_is_of_the_metrics_and_the_report_where_it_is_asked_for(study: Study):
    from vaescape.report import build_report

    found = evaluate(study, **QUICK, ais=5, temperatures=10)
    annealed = found["test"]["annealed_importance_sampling"]
    assert (annealed["images"], annealed["temperatures"]) == (5, 10)
    page = build_report({}, found, [], {})
    assert "annealed importance sampling, 16 chains through 10 temperatures" in page
    assert "1000, on the images below" in page


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"posterior": "vq"}, "'vq' puts z at discrete codes"),
        ({"posterior": "power-spherical"}, "on the unit sphere"),
        ({"posterior": "point", "objective": "elbo(beta=0)"}, "a plain autoencoder"),
        ({"model": "ladder"}, "'ladder' has 2 layers"),
    ],
)
def test_annealing_of_other_codes_is_refused_before_anything_is_measured(changes: dict, why: str):
    made = Study("first-look", **SMALL | changes)
    with pytest.raises(ComponentError, match=f"anywhere in latent space, and .*{why}"):
        evaluate(made, ais=5)


def test_the_report_has_everything_the_issue_names(metrics):
    test = metrics["test"]
    assert {"mse", "psnr", "ssim", "active_units", "aggregate_posterior"} <= test.keys()
    assert test["importance_weighted_bound"]["20"]["images"] == 30
    paths = metrics["smoothness"]["paths"]
    assert {"linear", "spherical", "geodesic", "pixel cross-fade"} == paths.keys()
    fade = paths["pixel cross-fade"]["different"]
    assert fade["length_ratio"]["estimate"] == pytest.approx(1, abs=1e-5)
    assert fade["curvature"]["estimate"] == pytest.approx(0, abs=1e-2)
    assert {
        "knn_accuracy",
        "linear_probe_accuracy",
        "silhouette",
        "trustworthiness",
        "continuity",
    } <= (metrics["captures"].keys())


def test_samples_stand_among_test_images_with_training_images_beside_them(metrics, study: Study):
    from vaescape.report import build_report

    found = metrics["samples"]
    assert found["settings"] == {"images": 300, "k": 5, "samples are": "means"}
    made, real = found["sets"]["samples"], found["sets"]["training images"]
    assert made.keys() == found["definitions"].keys()
    assert real["coverage"] > 0.9 > made["coverage"]
    assert abs(real["mmd2"]) < 0.05 < made["mmd2"]
    page = build_report({}, metrics, [], {})
    assert "Samples compared with test images" in page
    assert "untrained convolutional network" in page


def test_what_is_held_against_black_and_white_images_is_drawn(monkeypatch):
    asked = []

    def perfect(self: Study, n: int, label=None, *, seed: int, kind: str):
        asked.append((n, kind, label))
        return self.train[:n].floats()

    monkeypatch.setattr(Study, "sample", perfect)
    for likelihood, binarise in (("bernoulli", "dynamic"), ("gaussian", "none")):
        made = Study("first-look", **SMALL, likelihood=likelihood, binarise=binarise)
        rows = sample_quality(made)["sets"]
        assert rows["samples"] == rows["training images"]
    sample_quality(Study("first-look", **SMALL, conditional=True), 40)
    assert [each[:2] for each in asked] == [(300, "draws"), (300, "means"), (40, "means")]
    assert asked[0][2] is None
    assert torch.equal(asked[2][2], made.test[:40].labels)


@pytest.mark.parametrize("changes", [{}, {"latent": 3}, {"conditional": True}])
def test_the_metric_is_what_a_small_step_changes(changes):
    made = Study("first-look", **SMALL | {"epochs": 0.05} | changes)
    place = made.space.places(made.test[:3])
    step = torch.zeros(made.space.latent + made.space.conditions)
    step[1] = 0.01
    moved = (made.decode(place + step) - made.decode(place - step)).flatten(1).norm(dim=1) / 0.02
    G = made.metric(place)
    assert G.shape == (3, made.space.latent, made.space.latent)
    torch.testing.assert_close(G[:, 1, 1].sqrt(), moved, rtol=1e-2, atol=1e-4)
    assert made.metric(place, of="likelihood")[:, 1, 1].gt(4 * G[:, 1, 1]).all()  # 1/λ(1−λ) ≥ 4
    with pytest.raises(OptionError, match="'images' or of the 'likelihood'. Got 'pixels'"):
        made.metric(place, of="pixels")  # pyright: ignore
    frames = made.interpolate(place[0], place[1], path="geodesic", steps=5)
    torch.testing.assert_close(frames[[0, -1]], made.decode(place[:2]))


def test_a_plain_autoencoder_has_no_elbo_and_stands_beside(study: Study):
    base = Study(study.configuration.baseline()).fit()
    beside = evaluate(study, baseline=base, **QUICK)["smoothness"]["paths"]
    assert "plain autoencoder" in beside
    alone = evaluate(base, **QUICK)
    assert "negative_elbo" not in alone["test"]
    assert "kl" not in alone["test"]
    assert "samples" not in alone
    assert "cross_entropy" in alone["test"]
    for name in drawable(base):
        draw(base, name)


def test_a_validation_split_is_watched_and_never_trained_on():
    held = Study("first-look", **SMALL | {"validation": 100, "limit": None, "epochs": 0.05})
    assert held.held_out[0] == "validation"
    assert len(held.train) + 100 == len(held.data.load("train"))
    assert "validation" in evaluate(held.fit(), **QUICK)


@pytest.mark.parametrize("latent", [1, 2, 5])
def test_every_figure_for_every_latent_size(latent: int):
    made = Study("first-look", latent=latent, **SMALL).fit()
    assert ("kl" in drawable(made)) == (latent > 2)  # two bars are two numbers
    assert ("variances" in drawable(made)) == (latent <= 2)
    for name in drawable(made):
        assert draw(made, name).axes
    metrics = evaluate(made, **QUICK)
    variance = made.test.floats().var(0, correction=0).mean().item()
    assert metrics["test"]["mean_image_mse"] == variance
    largest = made.test.labels.bincount().max().item()
    assert metrics["captures"]["knn_accuracy"]["chance"] == largest / len(made.test)


@pytest.mark.parametrize("likelihood", ["continuous-bernoulli", "gaussian-learned"])
def test_a_density_is_called_a_likelihood(likelihood: str):
    made = Study("first-look", likelihood=likelihood, **SMALL).fit()
    metrics = evaluate(made, **QUICK)
    assert metrics["reconstruction_term"] == "negative_log_likelihood"
    assert "negative_log_likelihood" in metrics["test"]
    assert "cross_entropy" not in metrics["test"]
    assert math.isfinite(metrics["test"]["importance_weighted_bound"]["20"]["nats"])


def test_a_score_is_called_by_its_name_and_not_drawn_from():
    made = Study("first-look", likelihood="ssim", **SMALL).fit()
    metrics = evaluate(made, **QUICK)
    test = metrics["test"]
    assert metrics["reconstruction_term"] == "dissimilarity"
    assert test["negative_elbo"] == pytest.approx(test["dissimilarity"] + test["kl"])
    assert 0 < test["dissimilarity"] < 2 * 28 * 28
    assert "draws" not in drawable(made)
    with pytest.raises(ComponentError, match="ssim is no density of grey pixels"):
        made.sample(2, kind="draws")


def test_every_figure_of_a_trained_study_says_what_it_is(study: Study):
    assert set(drawable(study)) == set(names()) - {"curves", "draws", "codes", "classes", "kl"}


@pytest.mark.parametrize(("posterior", "bound"), [("vq(codes=8)", False), ("gumbel-softmax", True)])
def test_what_has_no_meaning_for_codes_is_left_out_with_the_reason(posterior: str, bound: bool):
    made = Study("first-look", posterior=posterior, **SMALL).fit()
    metrics = evaluate(made, **QUICK)
    test, reasons = metrics["test"], metrics["left_out"]
    assert test["negative_elbo"] == pytest.approx(test["cross_entropy"] + test["kl"])
    assert ("importance_weighted_bound" in test) == bound
    assert ("importance_weighted_bound" in reasons) != bound
    assert "aggregate_posterior" in reasons
    assert 1 <= test["code_use"]["perplexity"] <= test["code_use"]["active_codes"] + 1e-9
    if not bound:
        assert test["kl"] == pytest.approx(math.log(8), rel=1e-5)
    absent = {"curves", "draws", "kl", "classes", "variances"}
    assert set(drawable(made)) == set(names()) - absent
    for name in drawable(made):
        assert draw(made, name).axes


def test_the_figure_of_codes_has_a_row_for_each_position():
    made = Study("first-look", posterior="vq(codes=16, positions=2)", latent=4, **SMALL)
    assert draw(made, "codes").axes
    assert made.space.codes(made.test).shape == (len(made.test), 2)


def test_draws_of_the_prior_are_independent_of_the_posteriors_draws(study: Study):
    q, drawn = aggregate_posterior(study), prior_draws(study)
    assert q is not None
    mean, log_var = study.encode_with_variance(study.test)
    assert log_var is not None
    noise = ((q.z[0] - mean) * (log_var / -2).exp())[: len(drawn)].flatten()
    pair = torch.stack([noise, drawn[: len(study.test)].flatten()])
    assert torch.corrcoef(pair)[0, 1].abs() < 0.2  # from the same seed: 1


def test_a_prior_that_is_met_has_an_mmd_of_noise_around_zero(study: Study, monkeypatch):
    def posterior(images):
        return torch.zeros(len(images), 2), torch.zeros(len(images), 2)

    monkeypatch.setattr(study, "encode_with_variance", posterior)
    found = []
    for seed in range(40):
        q = aggregate_posterior(study, seed)
        assert q is not None
        few = q.z[0][:20]
        found.append(mmd2(few, prior_draws(study, seed)[:20]))
    error = statistics.stdev(found) / len(found) ** 0.5
    assert abs(statistics.mean(found)) < 4 * error  # from the same seed: −0.05


def test_geodesics_follow_the_data_as_strongly_as_asked(study: Study):
    codes, q = study.encode(study.test), density(study)
    assert q is not None
    order = codes.norm(dim=1).argsort()
    a, b = codes[order[:20]], codes[order[-20:]]
    t = torch.linspace(0, 1, 11)
    means = []
    for strength in (0.0, 1.0, 10.0):
        walk = along(study.space, "geodesic", torch.cat([a, b]), q.weight(strength))
        means.append(q.log_prob(walk(a, b, t)).clamp_max(q.typical).mean().item())
    assert means[0] < means[1] < means[2]
    weight = q.weight(10.0)
    ends = study.interpolate(a[0], b[0], steps=5, path="geodesic", weight=weight)[[0, -1]]
    torch.testing.assert_close(ends, study.decode(torch.stack([a[0], b[0]])), atol=1e-5, rtol=0)
