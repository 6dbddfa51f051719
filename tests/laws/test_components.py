"""Laws over every registered component: a new one is held to them because it is registered."""

import pytest
import torch

from vaescape.batch import Batch
from vaescape.build import build
from vaescape.components import construct, known
from vaescape.conditionals import Measure, Posterior, Prior, Support
from vaescape.distributions import centre, rsample_with_log_prob
from vaescape.errors import ComponentError, OptionError
from vaescape.recipes import Parts

SHAPE = (1, 8, 8)
KINDS = ("model", "network", "posterior", "likelihood", "prior", "objective")


def parts_with(kind: str, name: str) -> Parts:
    """The smallest sensible model that has the component in it."""
    around = {"network": "conv(channels=[4], hidden=5)"} | {kind: name}
    if around.get("posterior") == "point":
        around["objective"] = "elbo(beta=0)"
    if name == "m2":
        around |= {"model": "m2", "objective": "m2"}
    if kind == "prior" and support("prior", name) is Support.CODES:
        around["posterior"] = "vq(codes=4, positions=3)"
    if kind == "prior" and support("prior", name) is Support.SPHERE:
        around["posterior"] = "power-spherical"
    parts = Parts(latent=3, conditional=name == "m2", **around)
    return parts.with_fitting_prior() if kind == "posterior" else parts


def support(kind: str, name: str) -> Support | None:
    """Where the codes of a posterior or a prior lie."""
    cls = known(kind)[name]
    assert issubclass(cls, Posterior | Prior)
    return cls.support


def built(parts: Parts, seed: int = 0):
    """A model that has all the facts that a run has."""
    images = torch.randint(0, 256, (100, *SHAPE), dtype=torch.uint8)
    return build(parts, shape=SHAPE, seed=seed, images=100, pixels=images, classes=4)


def pixels(parts_or_name: Parts | str, *shape: int) -> torch.Tensor:
    """Random pixels that the likelihood can score."""
    name = parts_or_name if isinstance(parts_or_name, str) else parts_or_name.likelihood
    x = torch.rand(shape)
    return x.round() if construct("likelihood", name).measure is Measure.BINARY else x


MEMBERS = [(kind, name) for kind in KINDS for name in known(kind)]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def test_every_kind_has_members():
    assert {kind for kind, _ in MEMBERS} == set(KINDS)


@pytest.mark.parametrize(("kind", "name"), MEMBERS)
def test_every_parameter_receives_a_gradient(kind: str, name: str):
    parts = parts_with(kind, name)
    model, objective = built(parts)
    loss = objective(model, Batch(pixels(parts, 6, *SHAPE)), torch.tensor(0.5))
    assert loss.total.isfinite()
    loss.total.backward()
    for parameter in [*model.parameters(), *objective.parameters()]:
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize(("kind", "name"), MEMBERS)
def test_the_text_and_the_weights_rebuild_the_same_numbers(kind: str, name: str):
    parts = parts_with(kind, name)
    torch.manual_seed(0)
    model, objective = built(parts, seed=1)
    torch.manual_seed(0)
    other, again = built(parts, seed=2)
    other.load_state_dict(model.state_dict())
    again.load_state_dict(objective.state_dict())
    batch, t = Batch(pixels(parts, 4, *SHAPE)), torch.tensor(1.0)
    torch.manual_seed(3)
    first = objective(model, batch, t).total
    torch.manual_seed(3)
    assert torch.equal(first, again(other, batch, t).total)


@pytest.mark.parametrize(("kind", "name"), MEMBERS)
def test_every_component_says_what_it_is(kind: str, name: str):
    doc = known(kind)[name].__doc__ or ""
    first = doc.partition("\n")[0]
    assert 20 < len(first) <= 100
    assert first.endswith((".", ")"))


@pytest.mark.parametrize("name", known("posterior"))
def test_posteriors_have_shapes_and_score_their_draws(name: str):
    head = construct("posterior", name, latent_dim=3).double().eval()
    q = head(torch.randn(4, head.channels(3), dtype=torch.float64))
    z, log_q = rsample_with_log_prob(q, (5,))
    assert z.shape == (5, 4, 3)
    assert centre(q).shape == (4, 3)
    torch.testing.assert_close(head.support.nearest(z), z)
    if not head.deterministic:
        scored = q.log_prob(z)
        assert scored.shape == (5, 4)
        if log_q is not None:
            torch.testing.assert_close(log_q, scored)


@pytest.mark.parametrize("name", known("likelihood"))
def test_likelihoods_have_shapes_and_a_name_for_their_term(name: str):
    head = construct("likelihood", name)
    d = head(torch.randn(5, 4, head.channels(2), 6, 6))
    x = pixels(name, 4, 2, 6, 6)
    assert d.log_prob(x).shape == (5, 4)
    assert d.log_prob(x).isfinite().all()
    assert d.mean.shape == d.sample().shape == (5, 4, 2, 6, 6)
    assert ((d.mean >= 0) & (d.mean <= 1)).all()
    assert (head.term == "negative_log_likelihood") == head.normalised


@pytest.mark.parametrize("name", known("likelihood"))
@pytest.mark.parametrize("raw", [-40.0, 0.0, 40.0])
def test_t31_the_decoder_reaches_the_range_of_the_data_and_no_further(name: str, raw: float):
    head = construct("likelihood", name)
    d = head(torch.full((2, head.channels(1), 6, 6), raw))
    assert ((d.mean >= 0) & (d.mean <= 1)).all()
    for pixel in (0.0, 1.0):
        assert d.log_prob(torch.full((2, 1, 6, 6), pixel)).isfinite().all()


@pytest.mark.parametrize("name", known("likelihood"))
def test_t21_densities_are_float32_under_a_bfloat16_network(name: str):
    head = construct("likelihood", name)
    raw = torch.randn(3, head.channels(1), 6, 6).bfloat16()
    x = pixels(name, 3, 1, 6, 6)
    assert head(raw).log_prob(x).dtype == torch.float32
    torch.testing.assert_close(head(raw).log_prob(x), head(raw.float()).log_prob(x))


@pytest.mark.parametrize("name", known("likelihood"))
def test_t1_the_reconstruction_is_summed_over_pixels(name: str):
    head = construct("likelihood", name)
    raw, x = torch.randn(3, head.channels(1), 6, 6), pixels(name, 3, 1, 6, 6)
    once, tiled = head(raw).log_prob(x), head(raw.tile(1, 1, 2, 2)).log_prob(x.tile(1, 1, 2, 2))
    torch.testing.assert_close(tiled, 4 * once)


def total(log_prob: torch.Tensor, x: torch.Tensor, measure: Measure) -> torch.Tensor:
    """Return what exp(log_prob) adds up to: an integral for a density, a sum for probabilities."""
    discrete = measure in (Measure.BYTE, Measure.BINARY)
    return log_prob.exp().sum() if discrete else torch.trapezoid(log_prob.exp(), x)


PIXEL_VALUES = {
    Measure.UNIT_INTERVAL: torch.linspace(0, 1, 100_001, dtype=torch.float64),
    Measure.REAL_LINE: torch.linspace(-80, 81, 400_001, dtype=torch.float64),
    Measure.BYTE: torch.arange(256, dtype=torch.float64) / 255,
    Measure.BINARY: torch.tensor([0.0, 1.0], dtype=torch.float64),
}


@pytest.mark.parametrize("name", known("likelihood"))
def test_t3_every_likelihood_adds_up_to_one_over_its_measure(name: str):
    """Over one pixel. What is no likelihood does not, over [0, 1] at least."""
    head = construct("likelihood", name).eval()
    x = PIXEL_VALUES.get(head.measure, PIXEL_VALUES[Measure.UNIT_INTERVAL])
    for raw in (-3.0, 0.0, 2.0):
        d = head(torch.full((head.channels(1), 1, 1), raw, dtype=torch.float64))
        found = total(d.log_prob(x[:, None, None, None]), x, head.measure).item()
        assert (found == pytest.approx(1, abs=1e-5)) == head.normalised


@pytest.mark.parametrize("name", known("network"))
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 13, 18), (2, 7, 7)])
def test_networks_fit_any_image(name: str, shape: tuple[int, int, int]):
    network = construct("network", name)
    assert network.encoder(shape, 6)(torch.rand(2, *shape)).shape == (2, 6)
    assert network.decoder(6, shape)(torch.rand(2, 6)).shape == (2, *shape)


@pytest.mark.parametrize("name", known("prior"))
def test_priors_score_what_they_draw(name: str):
    model, _ = built(parts_with("prior", name))
    for p in (model.prior(), model.eval().prior()):
        assert p.log_prob(p.sample((7,))).shape == (7,)
        assert p.sample((2, 7)).shape == (2, 7, 3)


def test_a_point_with_a_kl_is_refused_with_the_reason():
    with pytest.raises(ComponentError, match=r"no density.*elbo\(beta=0\)"):
        build(Parts(posterior="point"), shape=SHAPE)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"latent": 0}, OptionError, "latent size must be 1 or more. Got 0"),
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


def test_t4_the_learned_sigma_has_its_optimum_at_the_rms_error():
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


def test_t4_constant_images_do_not_reach_infinity():
    head = construct("likelihood", "gaussian-learned")
    raw, adam = torch.zeros(4, 1, 6, 6), torch.optim.Adam(head.parameters(), lr=1.0)
    for _ in range(200):
        adam.zero_grad()
        (-head(raw).log_prob(torch.full_like(raw, 0.5)).mean()).backward()
        adam.step()
    assert head(raw).log_prob(torch.full_like(raw, 0.5)).isfinite().all()
    assert head.log_scale.item() == pytest.approx(-6, abs=0.01)
