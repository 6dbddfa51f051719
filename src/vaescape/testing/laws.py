"""The laws. Each takes a case and raises an ``AssertionError`` that says what does not hold."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vaescape.catalogue import CLASSES, KINDS, entry, tiny
from vaescape.components import parse, text_of
from vaescape.conditionals import CodePosterior, Measure
from vaescape.data.base import SPLITS, Data
from vaescape.errors import ComponentError
from vaescape.quantities import NEGATIVE_LOG_LIKELIHOOD
from vaescape.testing.case import Case, losses, scattered
from vaescape.testing.combinations import trains
from vaescape.testing.densities import draws_what_it_scores, places
from vaescape.testing.tracing import traces
from vaescape.testing.whole import runs

Law = Callable[[Case], None]

_laws: dict[str, list[Law]] = {kind: [] for kind in (*KINDS, "data")}


def law(*kinds: str) -> Callable[[Law], Law]:
    """Register a law over components of these kinds."""

    def register(function: Law) -> Law:
        for kind in kinds:
            _laws[kind].append(function)
        return function

    return register


def laws(kind: str) -> list[Law]:
    """Return the laws over components of a kind, such as "prior".

    Raises:
        ComponentError: If there are none over such a kind.
    """
    if kind not in _laws:
        raise ComponentError(f"There are laws over {', '.join(_laws)}. Got {kind!r}.")
    return list(_laws[kind])


def laws_of(kind: str, spec: Any, **beside: Any) -> None:
    """Check all laws of a component's kind; every law starts from the same seed.

    Args:
        kind: Such as "prior".
        spec: Such as "vamp(components=3)", or "my_module:MyPrior"; also a class or an instance.
        beside: Other parts that it needs, where ours do not serve: ``posterior="my_module:Own"``
            for a prior over a latent space of your own.

    Raises:
        AssertionError: If one does not hold, with its name.
        ComponentError: If there is no such component, or no model has it in it.
    """
    others = tuple((key, text_of(key, value)) for key, value in beside.items())
    case = Case(kind, spec, others)
    for each in laws(kind):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            try:
                each(case)
            except AssertionError as error:
                raise AssertionError(f"{kind} {case.spec!r}, {each.__name__}: {error}") from error


# All ---------------------------------------------------------------------------------------------


@law(*KINDS, "data")
def says_what_it_is(case: Case) -> None:
    """The docstring's first line is a sentence that fits one line of a table."""
    first = entry(case.kind, parse(case.spec)[0]).summary
    assert 20 < len(first) <= 100, f"Expected a first line of 21 to 100 letters. Got {first!r}."
    assert first.endswith("."), f"Expected a full stop at its end. Got {first!r}."


@law(*KINDS)
def every_parameter_receives_a_gradient(case: Case) -> None:
    """No weight of the model or of the objective is left out, and every gradient is finite."""
    model, objective = tiny(case.parts())
    loss = objective(model, case.batch(), torch.tensor(0.5)).total
    assert loss.isfinite(), f"The loss is {loss.item()}."
    loss.backward()
    both = torch.nn.ModuleDict({"model": model, "objective": objective})
    for name, parameter in both.named_parameters():
        assert parameter.grad is not None, f"No gradient reaches {name}."
        assert parameter.grad.isfinite().all(), f"The gradient of {name} is not finite."
        assert parameter.grad.abs().sum() > 0, f"The gradient of {name} is zero everywhere."


@law(*KINDS)
def text_and_weights_rebuild_the_same_numbers(case: Case) -> None:
    """All that counts is in the text and in the weights: parameters and persistent buffers."""
    (model, objective), (other, again) = (tiny(case.parts(), seed=seed) for seed in (1, 2))
    other.load_state_dict(model.state_dict())
    again.load_state_dict(objective.state_dict())
    totals = []
    for each, scored in ((model, objective), (other, again)):
        torch.manual_seed(3)
        totals.append(scored(each, case.batch(4), torch.tensor(1.0)).total)
    assert torch.equal(*totals), f"{totals[0].item()} nats, and {totals[1].item()} when rebuilt."


@law(*KINDS)
def trains_is_saved_and_samples(case: Case) -> None:
    """Two steps, weights out and in again without the images: the same numbers, and samples."""
    trains(case.parts())


@law(*KINDS)
def traces_into_one_graph(case: Case) -> None:
    """``torch.compile(fullgraph=True)`` takes the loss, value and gradients unchanged."""
    traces(case.parts())


@law(*KINDS)
def goes_through_a_whole_run(case: Case) -> None:
    """Trained, evaluated, drawn and reported: every number is finite, and the report shows it."""
    runs(case.parts())


# Data ---------------------------------------------------------------------------------------------


@law("data")
def splits_are_pictures_of_one_shape_with_labels(case: Case) -> None:
    """Training and test images have one shape, are not all one grey, and their labels a name."""
    data: Data = case.construct()
    assert data.title, "The data set has no title."
    train, test = (data.load(split) for split in SPLITS)
    assert train.shape == test.shape, f"Training images {train.shape}, test images {test.shape}."
    for images in (train, test):
        assert len(images) > 0, "A split has no images."
        assert images.pixels.min() < images.pixels.max(), "All pixels of a split are equal."
        found, named = set(images.labels.tolist()), max(len(data.classes), 1)
        assert found <= set(range(named)), f"Labels {sorted(found)} for {named} classes."
    factors = train.factors
    named = 0 if data.factors is None else len(data.factors)
    found = 0 if factors is None else factors.shape[1]
    assert named == found, f"{found} factors of variation, and names for {named}."


@law("data")
def reading_again_gives_the_same_bytes(case: Case) -> None:
    """Two data sets of one text have the same images in the same order."""
    one, other = case.construct(), case.construct()
    for split in SPLITS:
        first, second = one.load(split), other.load(split)
        assert torch.equal(first.pixels, second.pixels), f"The {split} images differ."
        assert torch.equal(first.labels, second.labels), f"The {split} labels differ."
    assert one.digest() == other.digest(), "The digests differ."


# Models ------------------------------------------------------------------------------------------


@law("model")
def codes_and_images_have_their_shapes(case: Case) -> None:
    """Draws are (K, B, …), codes (B, …), and codes decode to images."""
    model, x, label = tiny(case.parts())[0].eval(), case.batch(4).x, torch.arange(4) % CLASSES
    latents = model.infer(x, label, samples=5)
    assert len(latents) == model.layers
    assert all(latent.z.shape[:2] == (5, 4) for latent in latents)
    codes = model.encode(x, label)
    assert [z.shape for z in codes] == [latent.z.shape[1:] for latent in latents]
    assert model.decode(codes, label).mean.shape == x.shape
    assert model.sample(4, label).mean.shape == x.shape


@law("model")
def encoding_twice_gives_the_same_codes(case: Case) -> None:
    """A code is the posterior's mean, not a draw."""
    model, x, label = tiny(case.parts())[0].eval(), case.batch(4).x, torch.arange(4) % CLASSES
    pairs = zip(model.encode(x, label), model.encode(x, label), strict=True)
    assert all(torch.equal(first, second) for first, second in pairs)


# Networks ----------------------------------------------------------------------------------------


@law("network")
def fits_any_image(case: Case) -> None:
    """All sizes follow from the data: odd ones, several channels, not square."""
    network = case.construct()
    for shape in ((1, 28, 28), (3, 13, 18), (2, 7, 7)):
        assert network.encoder(shape, 6)(torch.rand(2, *shape)).shape == (2, 6)
        assert network.decoder(6, shape)(torch.rand(2, 6)).shape == (2, *shape)


@law("network")
def an_image_does_not_depend_on_its_batch(case: Case) -> None:
    """In use, no statistics of the batch enter."""
    encoder = case.construct().encoder((1, 8, 8), 6).eval()
    x = torch.rand(5, 1, 8, 8)
    torch.testing.assert_close(encoder(x)[:1], encoder(x[:1]), rtol=1e-4, atol=1e-5)


# Posteriors --------------------------------------------------------------------------------------


@law("posterior")
def posteriors_score_their_draws(case: Case) -> None:
    """Draws are (K, B, D) and lie on the support; the density that comes with them is theirs."""
    head = case.construct(latent_dim=3).double().eval()
    q = head(torch.randn(4, head.channels(3), dtype=torch.float64))
    z, log_q = q.joint_rsample((5,))
    assert z.shape == (5, 4, 3), f"Expected draws (5, 4, 3). Got {tuple(z.shape)}."
    assert q.point_estimate.shape == (4, 3)
    torch.testing.assert_close(head.support.nearest(z), z)
    if not head.deterministic:
        scored = q.log_prob(z)
        assert scored.shape == (5, 4), f"Expected log_prob (5, 4). Got {tuple(scored.shape)}."
        if log_q is not None:
            torch.testing.assert_close(log_q, scored, rtol=1e-9, atol=1e-9)


@law("posterior")
def posteriors_draw_what_they_score(case: Case) -> None:
    """The density adds up to one over the support, and the draws have its moments."""
    head = case.construct(latent_dim=2).double().eval()
    if head.deterministic or isinstance(head, CodePosterior):
        return
    for z, weight in places(head):
        head = case.construct(latent_dim=z.shape[-1]).double().eval()
        with torch.no_grad():
            for parameter in head.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
            raw = 0.7 * torch.randn(1, head.channels(z.shape[-1]), dtype=torch.float64)
            draws_what_it_scores(head(raw), z, weight, tolerance=3e-3)


@law("posterior")
def codes_are_float32_under_a_bfloat16_network(case: Case) -> None:
    """What comes in at low precision is computed on at float32."""
    head = case.construct(latent_dim=3).eval()
    raw = torch.randn(4, head.channels(3)).bfloat16()
    assert head(raw).point_estimate.dtype == torch.float32
    found, exact = head(raw).point_estimate, head(raw.float()).point_estimate
    torch.testing.assert_close(found, exact)


# Priors ------------------------------------------------------------------------------------------


@law("prior")
def priors_score_their_draws(case: Case) -> None:
    """Draws are (S, D) and have a log_prob each, in training and in use."""
    model = tiny(case.parts())[0]
    for p in (model.prior(), model.eval().prior()):
        assert p.log_prob(p.sample(torch.Size((7,)))).shape == (7,)
        assert p.sample(torch.Size((2, 7))).shape == (2, 7, 3)


@law("prior")
def priors_draw_what_they_score(case: Case) -> None:
    """The density adds up to one over the support, and the draws have its moments.

    Not of a prior that only estimates its density, and says so: ``exact = False``.
    """
    if not getattr(case.cls, "exact", True):
        return
    network = "mlp(hidden=6)"
    head = tiny(case.parts(latent=2, network=network))[0].posterior.head
    for z, weight in places(head):
        model = scattered(case.parts(latent=z.shape[-1], network=network))
        tolerance = 3e-3 if model.prior.exact else 3e-2  # an estimate has its noise
        with torch.no_grad():
            draws_what_it_scores(model.prior(), z, weight, tolerance=tolerance)


@law("prior")
def priors_take_conditions(case: Case) -> None:
    """Given classes, a prior has a distribution for each or one for all, or raises an error."""
    try:
        model = tiny(case.parts(conditional=True))[0]
    except ComponentError:
        return
    p = model.prior(torch.eye(CLASSES))
    assert p.batch_shape in ((), (CLASSES,)), f"Got batch {tuple(p.batch_shape)} for 3 classes."
    z = model.draw(CLASSES, torch.arange(CLASSES))
    assert p.log_prob(z).shape == (CLASSES,)


# Likelihoods -------------------------------------------------------------------------------------


def pixels(measure: Measure, *shape: int) -> Tensor:
    """Return random pixels where a measure has mass."""
    x = torch.rand(shape)
    return x.round() if measure is Measure.BINARY else x


@law("likelihood")
def likelihoods_score_images(case: Case) -> None:
    """A log_prob of each image, images as mean and draw, and an honest name for it in print."""
    head = case.construct(shape=(2, 6, 6))
    d = head(torch.randn(5, 4, head.channels(2), 6, 6))
    x = pixels(head.measure, 4, 2, 6, 6)
    assert d.log_prob(x).shape == (5, 4)
    assert d.log_prob(x).isfinite().all()
    assert d.mean.shape == d.sample().shape == (5, 4, 2, 6, 6)
    assert (head.quantity == NEGATIVE_LOG_LIKELIHOOD) == head.normalised, (
        f"Its measure is {head.measure.name}, and its quantity {head.quantity.name!r}: a density "
        "keeps NEGATIVE_LOG_LIKELIHOOD, a score brings a quantity of its own."
    )


@law("likelihood")
def means_reach_black_and_white_and_no_further(case: Case) -> None:
    """The decoder's range is that of the data, and the ends of it have a finite score."""
    head = case.construct(shape=(1, 6, 6))
    for raw in (-40.0, 0.0, 40.0):
        d = head(torch.full((2, head.channels(1), 6, 6), raw))
        assert ((d.mean >= 0) & (d.mean <= 1)).all()
        for pixel in (0.0, 1.0):
            assert d.log_prob(torch.full((2, 1, 6, 6), pixel)).isfinite().all()


@law("likelihood")
def densities_are_float32_under_a_bfloat16_network(case: Case) -> None:
    """What comes in at low precision is computed on at float32."""
    head = case.construct(shape=(1, 6, 6))
    raw, x = torch.randn(3, head.channels(1), 6, 6).bfloat16(), pixels(head.measure, 3, 1, 6, 6)
    assert head(raw).log_prob(x).dtype == torch.float32
    torch.testing.assert_close(head(raw).log_prob(x), head(raw.float()).log_prob(x))


@law("likelihood")
def terms_are_summed_over_pixels(case: Case) -> None:
    """Four times the pixels, each half the mirror image of the other, four times the nats.

    Where pixels are independent given z.
    """
    head = case.construct(shape=(1, 6, 6))
    if not head.pixelwise:
        return
    raw, x = torch.randn(3, head.channels(1), 6, 6), pixels(head.measure, 3, 1, 6, 6)
    once, folded = head(raw).log_prob(x), head(unfolded(raw)).log_prob(unfolded(x))
    torch.testing.assert_close(folded, 4 * once)


def unfolded(images: Tensor) -> Tensor:
    """Return images twice as high and wide, mirrored at their edges."""
    wide = torch.cat([images, images.flip(-1)], -1)
    return torch.cat([wide, wide.flip(-2)], -2)


PIXEL_VALUES = {
    Measure.UNIT_INTERVAL: torch.linspace(0, 1, 100_001, dtype=torch.float64),
    Measure.REAL_LINE: torch.linspace(-80, 81, 400_001, dtype=torch.float64),
    Measure.BYTE: torch.arange(256, dtype=torch.float64) / 255,
    Measure.BINARY: torch.tensor([0.0, 1.0], dtype=torch.float64),
}
"""Where one pixel can lie; what is no density is tried on [0, 1]."""


@law("likelihood")
def likelihoods_add_up_to_one_over_their_measure(case: Case) -> None:
    """Over one pixel: an integral, or a sum. What is no likelihood does not, and says so."""
    head = case.construct(shape=(1, 1, 1)).double().eval()
    x = PIXEL_VALUES.get(head.measure, PIXEL_VALUES[Measure.UNIT_INTERVAL])
    discrete = head.measure in (Measure.BYTE, Measure.BINARY)
    for raw in (-3.0, 0.0, 2.0):
        d = head(torch.full((head.channels(1), 1, 1), raw, dtype=torch.float64))
        mass = d.log_prob(x[:, None, None, None]).exp()
        total = (mass.sum() if discrete else torch.trapezoid(mass, x)).item()
        assert (abs(total - 1) < 1e-5) == head.normalised, (
            f"exp(log_prob) adds up to {total:.6f}; measure {head.measure.name}: {head.measure}."
        )


# Objectives --------------------------------------------------------------------------------------


@law("objective")
def losses_are_finite_from_the_first_step_to_the_last(case: Case) -> None:
    """A scalar, with metrics, at the beginning of training and at its end."""
    for t in (0.0, 1.0):
        loss = losses(case.parts(), case.batch(), torch.tensor(t))
        assert loss.total.shape == (), f"Expected a scalar. Got {tuple(loss.total.shape)}."
        assert loss.total.isfinite()
        assert all(value.isfinite().all() for value in loss.metrics.values())


@law("objective")
def what_quantisers_ask_for_is_paid(case: Case) -> None:
    """The commitment of a codebook joins every loss that trains one; or the two are refused."""
    try:
        parts = case.parts(latent=4, posterior="vq(codes=5)")
    except ComponentError:
        return
    loss = losses(parts, case.batch(), torch.tensor(0.5))
    assert "penalty" in loss.metrics, "The penalty of posterior 'vq' is left out."
    assert loss.metrics["penalty"] > 0
