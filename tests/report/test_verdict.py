"""The sentences of the verdict: each follows from the numbers, good or bad."""

import pytest

from vaescape.report.verdict import verdict

REAL = {"precision": 0.92, "recall": 0.93}


def only(metrics: dict, latent: int | None = None) -> str:
    (sentence,) = verdict(metrics, latent=latent)
    assert sentence.endswith(".")
    assert ": " in sentence
    return sentence


@pytest.mark.parametrize(
    ("mse", "judgement", "share"),
    [
        (0.008, "Reconstructions are close to the originals", "92.0\u00a0%"),
        (0.024, "Reconstructions keep the main features and lose detail", "76.0\u00a0%"),
        (0.060, "Reconstructions are poor", "40.0\u00a0%"),
        (0.100, "Reconstructions are no better than the mean image", ""),
        (0.200, "Reconstructions are no better than the mean image", ""),
    ],
)
def test_reconstructions_are_compared_with_the_mean_image(mse, judgement, share):
    said = only({"test": {"mse": mse, "mean_image_mse": 0.1}})
    assert said.startswith(f"{judgement}: ")
    assert share in said
    assert ("explain" in said) == bool(share)
    assert f"{mse:.3f}" in said
    assert "0.100" in said


@pytest.mark.parametrize(
    ("active", "latent", "said"),
    [
        (2, 2, "Both latent dimensions are in use: the KL divergence from the prior is 5.89 nats"),
        (1, 1, "The latent dimension is in use: "),
        (16, 16, "All 16 latent dimensions are in use: "),
        (3, 16, "Only 3 of 16 latent dimensions are in use: "),
        (0, 16, "Posterior collapse: no latent dimension is in use, and the KL divergence"),
        (4, None, "Latent dimensions in use: 4; the KL divergence"),
    ],
)
def test_latent_dimensions_in_use(active, latent, said):
    test = {"kl": 5.893, "active_units": {"by_variance": active}}
    assert only({"test": test}, latent).startswith(said)


@pytest.mark.parametrize(("used", "said"), [(400, "Most codes"), (30, "Few discrete codes")])
def test_discrete_codes_in_use(used, said):
    test = {"kl": 9.0, "code_use": {"active_codes": float(used), "codes": 512}}
    assert only({"test": test}, 2) == f"{said} are used: {used}.0 of 512."


@pytest.mark.parametrize(
    ("accuracy", "chance", "judgement"),
    [
        (0.95, 0.1, "Classes are well separated"),
        (0.733, 0.1, "Classes are partly separated"),
        (0.40, 0.1, "Classes overlap strongly"),
        (0.12, 0.1, "Classes are not separated"),
        (0.92, 0.9, "Classes overlap strongly"),  # most images are of one class
    ],
)
def test_class_separation_is_compared_with_chance(accuracy, chance, judgement):
    found = {"knn_accuracy": {"estimate": accuracy, "chance": chance, "k": 5}}
    said = only({"captures": found})
    assert said.startswith(f"{judgement}: the 5 nearest neighbours in latent space")
    assert f"{100 * accuracy:.1f}\u00a0% of the test images" in said
    assert f"largest class: {100 * chance:.1f}\u00a0%" in said


@pytest.mark.parametrize(("share", "said"), [(0.9, "Most samples"), (0.2, "Few samples")])
def test_a_conditional_model_is_judged_by_the_class_of_its_samples(share, said):
    found = {"knn_accuracy": {"estimate": 0.2, "chance": 0.1, "k": 5}}
    sentence = only({"class_agreement": {"estimate": share}, "captures": found})
    assert sentence.startswith(f"{said} belong to the class that they are conditioned on: ")
    assert f"{100 * share:.1f}\u00a0%" in sentence


@pytest.mark.parametrize(
    ("precision", "recall", "judgement"),
    [
        (0.941, 0.024, "Samples resemble real images but cover almost none of their variety"),
        (0.90, 0.90, "Samples resemble real images and cover their variety"),
        (0.90, 0.60, "Samples resemble real images but cover part of their variety"),
        (0.60, 0.20, "Some samples resemble real images and cover little of their variety"),
        (0.10, 0.90, "Samples do not resemble real images but cover their variety"),
    ],
)
def test_samples_are_compared_with_training_images(precision, recall, judgement):
    ours = {"precision": precision, "recall": recall}
    said = only({"samples": {"sets": {"samples": ours, "training images": REAL}}})
    assert said.startswith(f"{judgement}: precision {precision:.3f}, recall {recall:.3f}")
    assert "(training images: 0.920 and 0.930)" in said


@pytest.mark.parametrize(
    ("share", "judgement"),
    [(0.0172, "almost no holes"), (0.08, "some holes"), (0.31, "large holes")],
)
def test_holes(share, judgement):
    said = only({"test": {"aggregate_posterior": {"hole_fraction": share}}})
    assert said.startswith(
        f"The latent space has {judgement}: {100 * share:.1f}\u00a0% of the prior"
    )


@pytest.mark.parametrize(
    ("test", "train", "overfits"),
    [(254.5, 253.1, False), (254.5, 230.0, True), (-900.0, -910.0, False), (-800.0, -910.0, True)],
)
def test_overfitting(test, train, overfits):
    said = only({"test": {"negative_elbo": test}, "train": {"negative_elbo": train}})
    assert said.startswith("Overfitting: " if overfits else "No sign of overfitting: ")
    assert f"{test:.1f}".replace("-", "−") in said
    assert f"{train:.1f}".replace("-", "−") in said


def test_numbers_that_were_not_finite_have_no_sentence():
    sets = {"samples": {"precision": 0.5, "recall": None}}
    sets["training images"] = {"precision": 1.0, "recall": 1.0}
    nearest = {"estimate": 0.5, "chance": None, "k": 5}
    metrics = {"test": {"mse": None, "mean_image_mse": 0.1, "kl": None, "negative_elbo": None},
               "samples": {"sets": sets}, "captures": {"knn_accuracy": nearest}}  # fmt: skip
    assert verdict(metrics, latent=2) == []


def test_what_was_not_measured_has_no_sentence():
    assert verdict({}) == []
    assert verdict({"training": {"seconds": 3.0}, "test": {"images": 9, "mse": 0.1}}) == []
    assert verdict({"samples": {"sets": {"samples": REAL, "training images": {}}}}) == []
