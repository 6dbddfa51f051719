"""The Fisher–Rao metric of every likelihood against the second derivative of the KL."""

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

import vaescape.build  # noqa: F401 — registers the likelihoods
from vaescape.components import construct, known
from vaescape.conditionals import Measure
from vaescape.distributions import ContinuousBernoulli, as_event
from vaescape.errors import ComponentError
from vaescape.geometry.metric import fisher_rao_metric

PIXELS = {
    Measure.UNIT_INTERVAL: torch.linspace(0, 1, 20_001).double(),
    Measure.REAL_LINE: torch.linspace(-12, 13, 400_001).double(),
    Measure.BYTE: torch.arange(256).double() / 255,
    Measure.BINARY: torch.tensor([0.0, 1.0]).double(),
}
UNKNOWN = {"logistic-mixture": "LogisticMixture", "pixelcnn": "ChainedPixels", "ssim": "Similarity"}


def kl(head, there: Tensor, here: Tensor) -> Tensor:
    """KL of one pixel, by adding up over all its values; a score is taken for a Bernoulli."""
    measure = Measure.BINARY if head.measure is Measure.NONE else head.measure
    x = PIXELS[measure]
    log_p, log_q = (
        head(raw[:, None, None]).log_prob(x[:, None, None, None]) for raw in (there, here)
    )
    terms = log_p.exp() * (log_p - log_q)
    continuous = measure in (Measure.UNIT_INTERVAL, Measure.REAL_LINE)
    return torch.trapezoid(terms, x) if continuous else terms.sum()


@pytest.mark.parametrize("name", [name for name in known("likelihood") if name not in UNKNOWN])
def test_the_metric_is_the_second_derivative_of_the_kl(name: str):
    head = construct("likelihood", name).double().eval()
    # The density of the Laplace has a kink, which a small step would lose between two pixel values.
    h, rtol = (2e-2, 3e-2) if name.startswith("laplace") else (4e-3, 5e-3)
    torch.manual_seed(0)
    matrix = torch.randn(head.channels(1), 2).double() / 4

    def raw(z: Tensor) -> Tensor:
        return z @ matrix.T

    def coordinates(z: Tensor) -> tuple[Tensor, Tensor]:
        return head(raw(z)[..., None, None]).information()

    for z in torch.tensor([[0.3, -0.8], [2.0, 1.0]]).double():
        G = fisher_rao_metric(coordinates, z[None])[0]
        for v in torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]]).double():
            both = sum(kl(head, raw(z), raw(z + step * v)) for step in (h, -h)) / h**2
            torch.testing.assert_close(v @ G @ v, both, rtol=rtol, atol=1e-9)


@pytest.mark.parametrize("name", sorted(UNKNOWN))
def test_without_a_closed_form_there_is_a_sentence(name: str):
    head = construct("likelihood", name, shape=(1, 2, 2))
    with pytest.raises(ComponentError, match=f"Fisher information of {UNKNOWN[name]}"):
        head(torch.zeros(head.channels(1), 2, 2)).information()


def test_a_stranger_is_refused():
    with pytest.raises(ComponentError, match="Normal is not known"):
        as_event(Normal(0.0, 1.0)).information()


@pytest.mark.parametrize("logit", [0.0, 0.01, -0.09, 0.11, -3.0, 30.0, 200.0])
def test_the_variance_of_the_continuous_bernoulli(logit: float):
    p = ContinuousBernoulli(torch.tensor([logit]).double(), 1)
    x = torch.linspace(0, 1, 200_001).double()
    weight = p.log_prob(x[:, None]).exp()
    exact = torch.trapezoid(weight * (x - p.mean) ** 2, x)
    torch.testing.assert_close(p.variance[0], exact, rtol=1e-4, atol=0)
