"""How good a model is: a few sentences, each decided by the numbers of ``metrics.json``.

Every sentence begins with its judgement, up to a colon; the numbers that it rests on follow.
"""

from collections.abc import Mapping
from typing import Any

from vaescape.report.tables import number

OVERFITTING = 0.05
"""Difference between test and training, relative to the latter, that is called overfitting."""


def verdict(metrics: Mapping[str, Any], *, latent: int | None = None) -> list[str]:
    """Return up to six sentences; what was not measured has none.

    Args:
        metrics: The contents of ``metrics.json``.
        latent: D, the number of latent dimensions, if it is known.
    """
    test, train = metrics.get("test", {}), metrics.get("train", {})
    found = [
        _reconstruction(test),
        _latents(test, latent),
        _classes(metrics),
        _samples(metrics.get("samples", {}).get("sets", {})),
        _holes(test.get("aggregate_posterior", {}).get("hole_fraction")),
        _overfitting(test.get("negative_elbo"), train.get("negative_elbo")),
    ]
    return [sentence for sentence in found if sentence]


def _grade(value: float, grades: Mapping[float, str]) -> str:
    """Return the words of the highest threshold that a value reaches; the last one is for all."""
    return next(words for least, words in grades.items() if value >= least)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\u00a0%"


LEAST = float("-inf")
_RECONSTRUCTIONS = {
    0.9: "Reconstructions are close to the originals",
    0.5: "Reconstructions keep the main features and lose detail",
    LEAST: "Reconstructions are poor",
}
_CLASSES = {
    0.9: "Classes are well separated",
    0.5: "Classes are partly separated",
    0.1: "Classes overlap strongly",
    LEAST: "Classes are not separated",
}
_REALISM = {
    0.8: "Samples resemble real images",
    0.5: "Some samples resemble real images",
    LEAST: "Samples do not resemble real images",
}
_VARIETY = {
    0.8: "cover their variety",
    0.5: "cover part of their variety",
    0.1: "cover little of their variety",
    LEAST: "cover almost none of their variety",
}
_HOLES = {
    0.2: "The latent space has large holes",
    0.05: "The latent space has some holes",
    LEAST: "The latent space has almost no holes",
}


def _reconstruction(test: Mapping[str, Any]) -> str:
    error, baseline = test.get("mse"), test.get("mean_image_mse")
    if error is None or not baseline:
        return ""
    share = 1 - error / baseline
    numbers = f"mean squared error {number(error)} per pixel; the mean image has {number(baseline)}"
    if share <= 0:
        return f"Reconstructions are no better than the mean image: {numbers}."
    judged = _grade(share, _RECONSTRUCTIONS)
    return f"{judged}: they explain {_percent(share)} of the pixel variance ({numbers})."


def _latents(test: Mapping[str, Any], latent: int | None) -> str:
    kl = test.get("kl")
    told = "" if kl is None else f"the KL divergence from the prior is {number(kl)} nats per image"
    if codes := test.get("code_use"):
        used, every = codes["active_codes"], codes["codes"]
        judged = "Few discrete codes are used" if used < every / 2 else "Most codes are used"
        return f"{judged}: {number(used)} of {every:,}."
    active = test.get("active_units", {}).get("by_variance")
    if active is None or kl is None:
        return ""
    if active == 0:
        return f"Posterior collapse: no latent dimension is in use, and {told}."
    if latent is None or active > latent:
        return f"Latent dimensions in use: {active}; {told}."
    if active == latent:
        every = {1: "The latent dimension is", 2: "Both latent dimensions are"}.get(
            latent, f"All {latent} latent dimensions are"
        )
        return f"{every} in use: {told}."
    return f"Only {active} of {latent} latent dimensions are in use: {told}."


def _classes(metrics: Mapping[str, Any]) -> str:
    agreement = metrics.get("class_agreement", {}).get("estimate")
    if agreement is not None:
        judged = "Most samples" if agreement >= 0.5 else "Few samples"
        share = f"a classifier of real images agrees on {_percent(agreement)}"
        return f"{judged} belong to the class that they are conditioned on: {share}."
    found = metrics.get("captures", {}).get("knn_accuracy", {})
    accuracy, chance = found.get("estimate"), found.get("chance")
    if None in (accuracy, chance, found.get("k")) or chance >= 1:
        return ""
    judged = _grade((accuracy - chance) / (1 - chance), _CLASSES)
    return (
        f"{judged}: the {found['k']} nearest neighbours in latent space name the class of "
        f"{_percent(accuracy)} of the test images (always naming the largest class: "
        f"{_percent(chance)})."
    )


def _samples(sets: Mapping[str, Mapping[str, Any]]) -> str:
    ours, real = sets.get("samples", {}), sets.get("training images", {})
    try:
        precision, recall = (ours[name] / real[name] for name in ("precision", "recall"))
    except (KeyError, TypeError, ZeroDivisionError):  # what was not finite is null
        return ""
    judged, variety = _grade(precision, _REALISM), _grade(recall, _VARIETY)
    joint = "and" if (precision >= 0.8) == (recall >= 0.8) else "but"
    return (
        f"{judged} {joint} {variety}: precision {number(ours['precision'])}, recall "
        f"{number(ours['recall'])} (training images: {number(real['precision'])} and "
        f"{number(real['recall'])})."
    )


def _holes(share: float | None) -> str:
    if share is None:
        return ""
    where = "of the prior lies where almost no image is encoded"
    return f"{_grade(share, _HOLES)}: {_percent(share)} {where}."


def _overfitting(test: float | None, train: float | None) -> str:
    if test is None or train is None:
        return ""
    gap = test - train
    large = gap > OVERFITTING * abs(train)
    return (
        f"{'Overfitting' if large else 'No sign of overfitting'}: the negative ELBO is "
        f"{number(test)} nats on test images and {number(train)} on training images."
    )
