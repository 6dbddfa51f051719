"""Every number of a study, as ``metrics.json`` has them: plain names, units beside them."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.distributions import Distribution

from vaescape.conditionals import Measure, Support
from vaescape.data import Images
from vaescape.distributions import log_prob_of_pairs
from vaescape.errors import ComponentError, OptionError
from vaescape.geometry.density import AggregateDensity
from vaescape.geometry.paths import linear
from vaescape.metrics import (
    agreement,
    annealing,
    codes,
    fidelity,
    latents,
    likelihood,
    neighbours,
    reconstruction,
    smoothness,
)
from vaescape.metrics.pooled import POOL, pooled_bound
from vaescape.models.evidence import log_ratio
from vaescape.models.m2 import evidence_of_all
from vaescape.progress import track
from vaescape.quantities import recorded
from vaescape.study import AT_ONCE, PATHS, Pictures, Study

FORMAT = 1
Bounds = tuple[tuple[int, int | None], ...]
"""Importance-weighted bounds: samples, and on how many of the first images (None: all)."""

BOUNDS: Bounds = ((100, None), (1000, 1000))
"""Where every image is decoded from draws of its own."""

POOLED_BOUNDS: Bounds = ((5000, None),)
"""Where images share their draws."""

POOLED_DIMENSIONS = 3
"""Images share their draws in latent spaces of so many dimensions at most: posteriors overlap."""

ANNEALED_BESIDE = 1000
"""Samples of the importance-weighted bound that is set beside annealing, on the same images."""

KL = ("kl", "kl_per_layer", "kl_per_dimension")

TEMPERATURES = 100
"""Of annealed importance sampling."""

DESCENTS = 10
"""Draws of each of a hundred images taken down a ladder at once: its states fill the memory."""

REAL_IMAGES = 10_000
"""So many training images stand for the real ones in the smoothness table."""

PRIOR_DRAWS = 5_000

ERRORS_AT_ONCE = 5_000
"""Decoded images held at once."""

CLASS_SAMPLES = 5_000
"""So many images, of all classes in turn, are drawn to ask whether they are of their class."""

SAMPLES = 2_000
"""So many samples are held against as many test images: memory and time grow with the square."""


@torch.no_grad()
def evaluate(
    study: Study,
    *,
    bounds: Bounds | None = None,
    pool: int | None = None,
    paths: int = smoothness.PATHS,
    baseline: Study | None = None,
    chunk: int = AT_ONCE,
    seed: int = 0,
    ais: int | None = None,
    temperatures: int = TEMPERATURES,
) -> dict[str, Any]:
    """Return every number of a study on its test images, ready for JSON.

    Args:
        study: Trained.
        bounds: Which importance-weighted bounds to compute, as (samples, first images or None);
            None: ``POOLED_BOUNDS`` where images can share their draws, else ``BOUNDS``.
        pool: How many images share their draws, as in :func:`importance_bound`.
        paths: Interpolation paths for each kind of pair in the smoothness table.
        baseline: A plain autoencoder to set beside it in that table.
        chunk: Codes decoded at once for the bounds; it changes memory and time, not the numbers.
        seed: Of all draws.
        ais: Annealed importance sampling on the first so many test images; None: none.
        temperatures: Of the annealing.

    Raises:
        ComponentError: If annealing is asked for and has no meaning for this model.
    """
    if ais is not None:
        _refuse_annealing(study)
    means, log_vars = study.encode_with_variance(study.test)
    test = elbo(study, study.test, seed=seed) | _reconstruction(study, study.test)
    if study.classifies:
        test |= _inferred(study, study.test, seed)
    left_out = _left_out(study)
    if study.probabilistic and "importance_weighted_bound" not in left_out:
        test["importance_weighted_bound"] = {
            str(samples): importance_bound(
                study, samples, images=images, pool=pool, chunk=chunk, seed=seed
            )
            for samples, images in bounds or (POOLED_BOUNDS if pools(study) else BOUNDS)
        }
    if ais is not None:
        test["annealed_importance_sampling"] = annealed_bound(
            study, ais, temperatures=temperatures, seed=seed
        )
    if study.probabilistic and not study.discrete:
        test |= _latent_use(study, means, log_vars, test.get("kl_per_dimension"), seed)
    if study.discrete:
        head = study.model.posterior.head
        test["code_use"] = codes.code_use(study.codes(study.test), head.codes)
    metrics = {
        "format": FORMAT,
        "quantities": recorded(of=study.likelihood.quantity),
        "reconstruction_term": study.likelihood.quantity.name,
        "test": test,
        "train": elbo(study, study.train, seed=seed),
    }
    if study.splits.validation is not None:
        metrics["validation"] = elbo(study, study.splits.validation, seed=seed)
    metrics["smoothness"] = smoothness_table(study, baseline, paths=paths, seed=seed)
    metrics["captures"] = _captures(study, means, seed)
    if study.probabilistic and min(len(study.train), len(study.test)) > fidelity.K:
        metrics["samples"] = sample_quality(study, seed=seed)
    if study.conditions and study.probabilistic:
        metrics["class_agreement"] = class_agreement(study, seed=seed)
    return metrics | ({"left_out": left_out} if left_out else {})


def _left_out(study: Study) -> dict[str, str]:
    """Return what has no meaning for discrete codes or such a prior, with the reason."""
    if not study.discrete:
        only_bounded = "the prior's density is only bounded, so no KL to it can be computed"
        return {} if study.model.prior.exact else {"aggregate_posterior_kl": only_bounded}
    reasons = {
        "active_units": "a code has no variance of its own: code_use counts what is in use",
        "aggregate_posterior": "codes have no density: code_use holds them against the prior",
    }
    if study.model.posterior.head.one_draw:
        reasons["importance_weighted_bound"] = (
            "all draws for an image are the same code, so the bound is the negative ELBO"
        )
    return reasons


def pools(study: Study) -> bool:
    """Return whether images can share their draws: one layer, few dimensions, one p(x | z).

    An autoregressive p(x | z) has to be computed anew for every image, so nothing would be shared.
    """
    flat = study.model.layers == 1 and not study.conditions and not study.discrete
    return flat and study.latent <= POOLED_DIMENSIONS and study.likelihood.pixelwise


@torch.no_grad()
def importance_bound(
    study: Study,
    samples: int,
    *,
    images: int | None = None,
    pool: int | None = None,
    chunk: int = AT_ONCE,
    seed: int = 0,
) -> dict[str, Any]:
    """Return minus the importance-weighted bound, in nats, on the first test images (None: all).

    Burda et al. (2016), eq. 8. With a score that is not a density, such as the cross-entropy, it
    bounds no likelihood and compares with others of that score only.

    Args:
        study: Trained.
        samples: Draws that each image's bound rests on.
        images: How many test images; None: all.
        pool: How many images share their draws, at most; None: a hundred where they can, else 1.
        chunk: Codes decoded at once; it changes memory and time, not the numbers.
        seed: Of all draws.

    Raises:
        OptionError: If a count is below 1, or images cannot share their draws.
    """
    if images is not None and images < 1:
        raise OptionError(f"images must be at least 1, got {images}. Choose a positive number.")
    if pool is None:
        pool = POOL if pools(study) else 1
    elif pool > 1 and not pools(study):
        raise OptionError(
            f"Images share their draws in latent spaces of {POOLED_DIMENSIONS} dimensions at most, "
            "of one layer, without classes, discrete codes or likelihood 'pixelcnn'. "
            f"Got a pool of {pool}. Choose 1."
        )
    test = study.test[:images]
    with study.configuration.train.arithmetic(study.device):
        if pool == 1:
            found = _own_bound(study, test, samples, chunk, seed)
        else:
            found = _pooled_bound(study, test, samples, pool, chunk, seed)
    return {
        "images": len(test),
        "nats": -found.bound.mean().item(),
        "effective_samples": found.effective_samples.mean().item(),
        "pool": pool,
    }


def _own_bound(
    study: Study, test: Images, samples: int, chunk: int, seed: int
) -> likelihood.ImportanceBound:
    model, label = study.model, test.labels.to(study.device)
    x = test.pixels.to(study.device)
    events: list[torch.Size] = []

    def draw(rows: slice, k: int) -> tuple[Tensor, Tensor]:
        together = k if model.layers == 1 else DESCENTS
        parts = [draw_part(rows, min(together, k - done)) for done in range(0, k, together)]
        z, ratio = zip(*parts, strict=True)
        return torch.cat(z), torch.cat(ratio)

    def draw_part(rows: slice, k: int) -> tuple[Tensor, Tensor]:
        drawn = model.infer(study.floats(x[rows]), label[rows], k)
        events[:] = [latent.z.shape[2:] for latent in drawn]
        return torch.cat([latent.z.flatten(2) for latent in drawn], dim=-1), log_ratio(drawn)

    def score(z: Float[Tensor, "K B P"], rows: slice) -> Float[Tensor, "K B"]:
        layers = z.split([event.numel() for event in events], dim=-1)
        codes = tuple(z.unflatten(-1, event) for z, event in zip(layers, events, strict=True))
        return model.decode(codes, label[rows]).log_prob(study.floats(x[rows]))

    return likelihood.importance_bound(
        draw,
        score,
        images=len(test),
        samples=samples,
        chunk=chunk,
        seed=seed,
        track=track(f"bound, {samples} samples"),
    )


def _pooled_bound(
    study: Study, test: Images, samples: int, pool: int, chunk: int, seed: int
) -> likelihood.ImportanceBound:
    model, x = study.model, test.pixels.to(study.device)

    def draw(rows: Int[Tensor, " J"], k: int) -> tuple[Float[Tensor, "S D"], Float[Tensor, " S"]]:
        (latent,) = model.infer(study.floats(x[rows]), None, k)
        z = latent.z.flatten(0, 1)
        log_q = latent.q.log_prob(z[:, None]).logsumexp(1) - math.log(len(rows))
        return z, latent.p.log_prob(z) - log_q

    def score(z: Float[Tensor, "S D"], rows: Int[Tensor, " J"]) -> Float[Tensor, "S J"]:
        return log_prob_of_pairs(model.decode((z,)), study.floats(x[rows]))

    return pooled_bound(
        draw,
        score,
        places=study.encode(test),
        samples=samples,
        pool=pool,
        chunk=chunk,
        seed=seed,
        track=track(f"bound, {samples} samples"),
    )


def annealed_bound(
    study: Study,
    images: int = 100,
    *,
    temperatures: int = TEMPERATURES,
    chains: int = 16,
    start: Literal["posterior", "prior"] = "posterior",
    seed: int = 0,
) -> dict[str, Any]:
    """Return minus the annealed bound on the first test images, the importance-weighted beside it.

    Neal (2001), Wu et al. (2017). In nats, in float32 whatever precision the training had; of a
    conditional model, of p(x | c).

    Args:
        study: Trained.
        images: The first so many test images.
        temperatures: Densities from the start to p(z) p(x | z).
        chains: For each image.
        start: Where chains start: "posterior" for the encoder's, whence it is not far; "prior" for
            a number in which the encoder has no part at all, which takes more temperatures.
        seed: Of all draws.

    Raises:
        ComponentError: If codes are discrete, on a sphere, in a ball, of several layers or without
            a density.
        OptionError: If a count is too small, or ``start`` is another.
    """
    if start not in ("posterior", "prior"):
        raise OptionError(f"Annealing starts at the 'posterior' or the 'prior'. Got {start!r}.")
    _refuse_annealing(study)
    likelihood.check_counts(images=images)
    model, test = study.model, study.test[:images]
    x, label = study.floats(test), test.labels.to(study.device)

    def target(rows: slice) -> tuple[Distribution, annealing.LogDensity]:
        c = model.condition(label[rows])
        prior = model.prior(c)
        first = prior if start == "prior" else model.posterior(x[rows], c)

        def log_joint(z: Float[Tensor, "K B D"]) -> Float[Tensor, "K B"]:
            return prior.log_prob(z) + model.decode((z,), label[rows]).log_prob(x[rows])

        return first, log_joint

    found = annealing.annealed_bound(
        target,
        images=len(test),
        chains=chains,
        temperatures=temperatures,
        seed=seed,
        track=track(f"annealing, {temperatures} temperatures"),
    )
    beside = importance_bound(study, ANNEALED_BESIDE, images=len(test), pool=1, seed=seed)
    return {
        "images": len(test),
        "nats": -found.bound.mean().item(),
        "effective_samples": found.effective_samples.mean().item(),
        "chains": chains,
        "temperatures": temperatures,
        "start": start,
        "acceptance": found.acceptance.mean().item(),
        "importance_weighted_bound": beside | {"samples": ANNEALED_BESIDE},
    }


def _refuse_annealing(study: Study) -> None:
    """Raise a :class:`ComponentError` for codes that cannot be moved through a density."""
    parts, why = study.configuration.parts, ""
    if not study.probabilistic:
        why = f"posterior {parts.posterior!r} makes a plain autoencoder, which has no p(x)"
    elif study.support is not Support.SPACE:
        why = f"posterior {parts.posterior!r} puts z {study.support}"
    elif study.model.layers > 1:
        why = f"model {parts.model!r} has {study.model.layers} layers of them"
    elif not study.model.prior.exact:
        why = f"the density of prior {parts.prior!r} is only bounded, so nothing can follow it"
    if why:
        raise ComponentError(
            "Annealed importance sampling moves the codes of one layer anywhere in latent space, "
            f"and {why}. Leave out --ais; the importance-weighted bound stands where it has one."
        )


def smoothness_table(
    study: Study, baseline: Study | None = None, *, paths: int = smoothness.PATHS, seed: int = 0
) -> dict[str, Any]:
    """Return the smoothness of the three kinds of path beside the baselines'."""
    test = study.test
    places = study.places(test)
    density = _density(study)
    walks = {
        name: smoothness.Walk(places, study.along(name, around=places), study.decode, density)
        for name in PATHS
    }
    walks["pixel cross-fade"] = smoothness.cross_fade(test.floats())
    if baseline is not None:
        walks["plain autoencoder"] = smoothness.Walk(baseline.places(test), linear, baseline.decode)
    found = smoothness.smoothness(
        walks,
        test.labels if len(test.labels.unique()) > 1 else None,
        study.train[:REAL_IMAGES].floats(),
        paths=paths,
        seed=seed,
        progress=track("smoothness"),
    )
    settings = found.pop("settings")
    return {
        "definitions": smoothness.DEFINITIONS,
        "settings": settings,
        "paths": {walk: {kind: found[kind][walk] for kind in found} for walk in walks},
    }


def _density(study: Study) -> smoothness.Density | None:
    """Return the aggregate posterior of training images: no test image is its own support.

    None for a plain autoencoder, whose codes have no density, and for discrete codes.
    """
    if study.discrete or not study.probabilistic:
        return None
    density = AggregateDensity.of(study, study.train, study.test)

    def log_density(places: Float[Tensor, "M P"]) -> Float[Tensor, " M"]:
        return density.log_prob(places[:, : study.latent])

    return smoothness.Density(log_density, density.at_codes)


@torch.no_grad()
def elbo(study: Study, images: Pictures, draws: int = 1, seed: int = 0) -> dict[str, Any]:
    """Return the negative ELBO of images and its terms, means in nats per image.

    From the model alone, whatever objective it was trained by. Of training images, none is part of
    its own prior.

    Args:
        study: A model and its data.
        images: Of a data set, with their classes, or pictures.
        draws: Of z per image. Where the KL has a closed form, only the reconstruction needs any.
        seed: Of the draws.

    Returns:
        ``images``, how many; ``negative_elbo`` and ``kl``, except for a plain autoencoder; the
        reconstruction term under the name of the likelihood's quantity; ``kl_per_layer`` and
        ``kl_per_dimension`` where there are such.

    Raises:
        OptionError: If draws is below 1, the seed negative, or as :meth:`Study.posterior`.
    """
    likelihood.check_counts(draws=draws)
    weights, totals = study.weights_of(images).to(study.device), dict[str, Tensor]()
    rows = torch.arange(len(images), device=study.device)
    together = max(1, AT_ONCE // draws)
    training = isinstance(images, Images) and images is study.train
    with _drawing(study, seed):
        for start in track("negative ELBO")(range(0, len(images), together)):
            part = slice(start, start + together)
            x = study.floats(images[part])
            e = study.model.evidence(x, weights[part], samples=draws)
            e = e.without(rows[part] if training else None)
            for name, value in e.terms().items():
                totals[name] = totals.get(name, 0) + value.double() * len(x) / len(images)
    found: dict[str, Any] = {name: value.tolist() for name, value in totals.items()}
    terms: dict[str, Any] = {"images": len(images)}
    if "kl" in found:
        terms["negative_elbo"] = found["reconstruction"] + found["kl"]
    terms[study.likelihood.quantity.name] = found["reconstruction"]
    return terms | {name: found[name] for name in KL if name in found}


@contextmanager
def _drawing(study: Study, seed: int) -> Iterator[None]:
    """Draw from a seed, and leave the caller's random state as it was."""
    likelihood.check_seed(seed)
    with torch.random.fork_rng(devices=[study.device] if study.device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _inferred(study: Study, images: Images, seed: int) -> dict[str, float]:
    """Return how often q(y | x) is right, and minus the bound on log p(x), the class summed out."""
    q = study.classify(images)
    return {
        "accuracy": (q.argmax(-1) == images.labels).double().mean().item(),
        "negative_elbo_without_labels": _elbo_without_labels(study, images, q.double(), seed),
    }


@torch.no_grad()
def _elbo_without_labels(study: Study, images: Images, q: Float[Tensor, "N E"], seed: int) -> float:
    """Return Σ_y q(y|x) L(x, y) − H(q(y|x)), the mean in nats (Kingma et al. 2014, eq. 7).

    L(x, y) is the negative ELBO of x with class y, less log p(y), which is even.
    """
    each, classes = [], q.shape[1]
    with _drawing(study, seed):
        for start in track("negative ELBO without labels")(range(0, len(images), AT_ONCE)):
            x = study.floats(images[start : start + AT_ONCE])
            e = evidence_of_all(study.model, x, classes)
            each.append((e.kl() - e.log_likelihood()).mean(0).view(classes, -1).T.cpu().double())
    return (q * (torch.cat(each) + math.log(classes)) + q.xlogy(q)).sum(-1).mean().item()


def _reconstruction(study: Study, images: Images) -> dict[str, float]:
    """Return the errors of images decoded from their codes, means over the images."""
    x, y = images.floats(), study.reconstruct(images)
    measures = {"mse": reconstruction.mse, "psnr": reconstruction.psnr}
    if min(images.shape[1:]) >= reconstruction.WINDOW:
        measures["ssim"] = reconstruction.ssim
    return {name: measure(y, x).mean().item() for name, measure in measures.items()}


def code_errors(study: Study, images: Images) -> Float[Tensor, " N"]:
    """Return the squared error of each image decoded from its code, a mean over its pixels.

    Its code is what the explorer decodes: the posterior's centre, of a ladder's top layer.
    """
    codes, at_once = study.places(images), ERRORS_AT_ONCE
    parts = [slice(start, start + at_once) for start in range(0, len(images), at_once)]
    return torch.cat(
        [reconstruction.mse(study.decode(codes[part]), images[part].floats()) for part in parts]
    )


def _latent_use(
    study: Study,
    means: Tensor,
    log_vars: Tensor | None,
    kl_per_dimension: Any,
    seed: int,
) -> dict[str, Any]:
    """Return what has a meaning: KLs per dimension and densities ask for diagonal Gaussians."""
    active = {"by_variance": int(latents.active_units(means).sum())}
    if kl_per_dimension is not None:
        by_kl = torch.tensor(kl_per_dimension)[None]
        active["by_kl"] = int(latents.active_by_kl(by_kl).sum())
    return {
        "active_units": active,
        "aggregate_posterior": _aggregate(study, means, log_vars, seed),
    }


def _aggregate(study: Study, means: Tensor, log_vars: Tensor | None, seed: int) -> dict[str, float]:
    prior_draws = study.draw_codes(PRIOR_DRAWS, seed=seed)
    if log_vars is None or not study.model.prior.exact:
        posterior_draws = study.encode(study.test, draw=True, seed=seed)
        return {"mmd2": _mmd2(posterior_draws, prior_draws)}
    q = latents.aggregate(means, log_vars, seed=seed)
    return {
        **latents.prior_gap(q, study.prior_log_density)._asdict(),
        "mmd2": _mmd2(q.z[0], prior_draws),
        "hole_fraction": latents.hole_fraction(q, prior_draws),
    }


def _mmd2(posterior_draws: Tensor, prior_draws: Tensor) -> float:
    count = min(len(posterior_draws), PRIOR_DRAWS)
    return latents.mmd2(posterior_draws[:count], prior_draws[:count])


def _captures(study: Study, means: Tensor, seed: int) -> dict[str, Any]:
    return {
        "definitions": neighbours.DEFINITIONS,
        **neighbours.neighbours(
            study.encode(study.train).numpy(),
            study.train.labels.numpy(),
            means.numpy(),
            study.test.labels.numpy(),
            study.test.floats().numpy(),
            seed=seed,
            progress=track("what the latent space captures"),
        ),
    }


def sample_quality(study: Study, n: int = SAMPLES, *, seed: int = 0) -> dict[str, Any]:
    """Return how samples and test images overlap, and beside it training images in their place.

    The latter is what samples could reach. Samples are the decoder's means; where pixels are black
    or white, or told of each other, draws, for there a mean is no image such as the real ones.

    Args:
        study: Trained.
        n: Samples, test images and training images, at most.
        seed: Of the draws.
    """
    test, likelihood = study.test[:n], study.likelihood
    alone = likelihood.pixelwise and likelihood.measure is not Measure.BINARY
    kind: Literal["means", "draws"] = "means" if alone else "draws"
    label = test.labels if study.conditions else None
    rows = {
        "samples": study.sample(len(test), label, seed=seed, kind=kind),
        "training images": study.train[: len(test)].floats(),
    }
    made = {name: fidelity.untrained_features(images) for name, images in rows.items()}
    space = made["training images"]
    real = fidelity.standardised(fidelity.untrained_features(test.floats()), space)
    made = {name: fidelity.standardised(features, space) for name, features in made.items()}
    return {
        "definitions": fidelity.DEFINITIONS,
        "settings": {"images": len(test), "k": fidelity.K, "samples are": kind},
        "sets": {
            name: fidelity.overlap(real, features)._asdict()
            | {"mmd2": fidelity.cubic_mmd2(real, features)}
            for name, features in made.items()
        },
    }


def class_agreement(study: Study, n: int = CLASS_SAMPLES, *, seed: int = 0) -> dict[str, Any]:
    """Return how often samples are of the class asked for, to a classifier of real images."""
    train, test = study.train, study.test
    judge = agreement.classifier(
        train.floats().numpy(),
        train.labels.numpy(),
        seed=seed,
        progress=track("a classifier of real images"),
    )
    asked = torch.arange(n) % study.conditions
    images = study.sample(n, asked, seed=seed).numpy()
    right = judge(test.floats().numpy()) == test.labels.numpy()
    return {
        **agreement.class_agreement(judge, images, asked.numpy(), study.classes, seed=seed),
        "classifier_accuracy": float(right.mean()),
        "definition": agreement.DEFINITION,
    }
