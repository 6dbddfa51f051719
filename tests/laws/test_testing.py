"""``vaescape.testing`` for components of one's own: right ones pass, wrong ones are told why."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.exc import Unsupported
from torch.distributions import Distribution, Independent, Laplace

from vaescape.conditionals import Likelihood, Measure, Posterior, Prior
from vaescape.distributions import ContinuousBernoulli, Gaussian, PseudoBernoulli
from vaescape.errors import ComponentError
from vaescape.nets.base import Network, Shape
from vaescape.objectives import EvidenceObjective, Loss
from vaescape.testing import laws, laws_of


def laplace(origin: Tensor, scale: float) -> Independent:
    return Independent(Laplace(origin, scale, validate_args=False), 1, validate_args=False)


class Heavy(Prior):
    """p(z) = ∏ Laplace(z_d; 0, scale), as in the guide."""

    origin: Tensor

    def __init__(self, latent_dim: int, scale: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("origin", torch.zeros(latent_dim), persistent=False)
        self.scale = scale

    def forward(self, c: Tensor | None = None) -> Distribution:
        return laplace(self.origin, self.scale)


class NoConstant(Independent):
    def log_prob(self, value: Tensor) -> Tensor:
        return -value.abs().sum(-1)


class Unnormalised(Heavy):
    """p(z) ∝ exp(−|z|), the constant forgotten."""

    def forward(self, c: Tensor | None = None) -> Distribution:
        return NoConstant(laplace(self.origin, self.scale).base_dist, 1, validate_args=False)


class TwiceAsWide(Independent):
    def sample(self, sample_shape=()) -> Tensor:
        return 2 * super().sample(torch.Size(sample_shape))


class DrawnElsewhere(Heavy):
    """A density whose draws are those of a wider one."""

    def forward(self, c: Tensor | None = None) -> Distribution:
        return TwiceAsWide(laplace(self.origin, self.scale).base_dist, 1, validate_args=False)


class Forgetful(Prior):
    """N(mean, I), its mean in a plain tensor that is not saved with the weights."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.mean = torch.randn(latent_dim)

    def forward(self, c: Tensor | None = None) -> Gaussian:
        return Gaussian(self.mean, torch.zeros_like(self.mean))


class Idle(Heavy):
    """A learned scale that nothing asks for."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__(latent_dim)
        self.unused = nn.Parameter(torch.zeros(()))


class Mute(Heavy):
    """Too short."""


class GreyBernoulli(Likelihood):
    """Cross-entropy on grey pixels that calls itself a density."""

    measure = Measure.UNIT_INTERVAL

    def channels(self, size: int) -> int:
        return size

    def forward(self, raw: Tensor) -> Distribution:
        return PseudoBernoulli(raw)


class MeanOfPixels(ContinuousBernoulli):
    def log_prob(self, value: Tensor) -> Tensor:
        return super().log_prob(value) / value[0].numel()


class Averaged(GreyBernoulli):
    """The mean over pixels in the place of the sum."""

    def forward(self, raw: Tensor) -> Distribution:
        return MeanOfPixels(raw)


class TooNarrow(Gaussian):
    def rsample(self, sample_shape=()) -> Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        return self.loc + self.variance * torch.randn(shape, dtype=self.loc.dtype)


class VarianceForScale(Posterior):
    """q whose draws take the variance for the standard deviation."""

    def channels(self, size: int) -> int:
        return 2 * size

    def forward(self, raw: Tensor) -> Gaussian:
        mean, log_scale = raw.chunk(2, -1)
        return TooNarrow(mean, log_scale - 0.5)


class OneSize(Network):
    """A network for 8 × 8 images and no others."""

    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))

    def decoder(self, inputs: int, shape: Shape) -> nn.Module:
        return nn.Sequential(nn.Linear(inputs, 64), nn.Unflatten(1, (1, 8, 8)))


class Batchwise(Network):
    """A network in which the other images of a batch count."""

    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        class Centred(nn.Flatten):
            def forward(self, input: Tensor) -> Tensor:
                return super().forward(input - input.mean(0))

        c, h, w = shape
        return nn.Sequential(Centred(), nn.Linear(c * h * w, outputs))

    def decoder(self, inputs: int, shape: Shape) -> nn.Module:
        c, h, w = shape
        return nn.Sequential(nn.Linear(inputs, c * h * w), nn.Unflatten(1, shape))


class Branching(EvidenceObjective):
    """A loss that looks at its own value, so that no single graph holds it."""

    def loss(self, e, t) -> Loss:
        total = (e.kl().mean(0) - e.log_likelihood()).mean()
        if total > 0:
            total = 2 * total
        return Loss(total, {"reconstruction": -e.log_likelihood().mean()})


class Silent(EvidenceObjective):
    """A loss that reports nothing besides its total."""

    def loss(self, e, t) -> Tensor:
        return (e.kl().mean(0) - e.log_likelihood()).mean()


def text(cls: type) -> str:
    """The text of a class of this module, as on the command line."""
    sys.modules.setdefault("my_module", sys.modules[__name__])
    return f"my_module:{cls.__name__}"


def test_a_prior_of_ones_own_keeps_all_laws():
    laws_of("prior", text(Heavy))
    laws_of("prior", f"{text(Heavy)}(scale=0.5)")


def test_an_objective_may_return_a_scalar():
    laws_of("objective", text(Silent))


@pytest.mark.parametrize(
    ("kind", "cls", "words"),
    [
        ("prior", Unnormalised, "priors_draw_what_they_score: .*adds up to 4.0"),
        ("prior", DrawnElsewhere, "priors_draw_what_they_score: .*not those of the density"),
        ("prior", Forgetful, "text_and_weights_rebuild_the_same_numbers: .*when rebuilt"),
        ("prior", Idle, "every_parameter_receives_a_gradient: No gradient reaches model.prior.un"),
        ("prior", Mute, "says_what_it_is: .*'Too short.'"),
        ("likelihood", GreyBernoulli, "adds up to .*UNIT_INTERVAL: density of pixels"),
        ("likelihood", Averaged, "terms_are_summed_over_pixels"),
        ("posterior", VarianceForScale, "posteriors_draw_what_they_score: The draws are not"),
        ("network", Batchwise, "an_image_does_not_depend_on_its_batch"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_wrong_one_is_told_which_law_it_breaks(kind: str, cls: type, words: str):
    with pytest.raises(AssertionError, match=words):
        laws_of(kind, text(cls))


def test_shapes_and_graphs_say_themselves_what_does_not_fit():
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        laws_of("network", text(OneSize))
    with pytest.raises(Unsupported, match="Data-dependent branching"):
        laws_of("objective", text(Branching))


def test_what_there_is_no_law_over_is_told():
    with pytest.raises(ComponentError, match="laws over model, network.* Got 'schedule'"):
        laws("schedule")
    with pytest.raises(ComponentError, match="could not be imported"):
        laws_of("prior", "no_such_module:MyPrior")


def test_the_laws_leave_the_random_state_alone():
    torch.manual_seed(1)
    laws_of("likelihood", "laplace")
    after = torch.rand(())
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(()))


def test_the_laws_need_no_pytest():
    code = "import sys, vaescape.testing; print('pytest' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False"]
