"""A prior fitted afterwards: what it learns, what it leaves alone, and what a run keeps of it."""

from hashlib import sha256

import pytest
import torch

from vaescape import Study, evaluate, pipeline
from vaescape.conditionals import Prior
from vaescape.distributions import Gaussian
from vaescape.errors import ComponentError, OptionError, RunError
from vaescape.evaluation import annealed_bound
from vaescape.files import write_json
from vaescape.recipes import configuration
from vaescape.runs import RUN, RunFolder

SMALL = {"network": "mlp(hidden=16)", "epochs": 0.5, "limit": 128}
SHIFTED = f"{__name__}:Shifted"
CODES = {"posterior": "vq(codes=4, positions=3)", "latent": 6}


class Shifted(Prior):
    """N(μ, I) with a learned μ, whose best value is known: the mean of the codes."""

    def __init__(self, latent_dim: int, start: float = 0.0) -> None:
        super().__init__()
        self.mean = torch.nn.Parameter(torch.full((latent_dim,), start))

    def forward(self, c=None) -> Gaussian:
        return Gaussian(self.mean, torch.zeros_like(self.mean))


def gaussian() -> Study:
    study = Study("first-look", **SMALL)
    with torch.no_grad():  # codes well away from the origin, and sure of their place
        study.model.posterior.net[-1][-1].bias.copy_(torch.tensor([2.0, -1.0, -6.0, -6.0]))
    return study


@pytest.fixture(scope="module")
def discrete() -> Study:
    return Study("first-look", **SMALL, **CODES).fit()


def weights(study: Study) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in study.model.state_dict().items()}


def test_it_learns_the_aggregate_posterior_of_the_training_images():
    study = gaussian()
    fitted = study.fit_prior(SHIFTED, epochs=100, batch=128, lr=0.1)
    mean = study.encode(study.train).mean(0)
    assert study.fitted_prior("Shifted").state_dict()["mean"].tolist() == pytest.approx(
        mean.tolist(), abs=0.05
    )
    assert fitted.own is not None
    # Between N(μ, I) and N(0, I) on codes that all lie near μ there are ‖μ‖² / 2 nats.
    assert fitted.own - fitted.test == pytest.approx(mean.square().sum().item() / 2, abs=0.1)


def test_a_vae_over_codes_learns_them_and_is_refused_where_a_density_is_needed():
    """Dai & Wipf's second stage; as a model's own prior it says what it leaves out."""
    study = gaussian()
    fitted = study.fit_prior("two-stage(hidden=32)", epochs=150, batch=32, lr=1e-2)
    assert fitted.own is not None
    assert fitted.test < fitted.own - 1.5  # N(0, I) pays ‖μ‖² / 2 = 2.5 nats
    drawn = study.fitted_prior("two-stage")().sample((2000,))
    means = study.encode(study.train).mean(0)
    assert drawn.mean(0).tolist() == pytest.approx(means.tolist(), abs=0.2)
    assert study.sample(3, prior="two-stage").shape == (3, 1, 28, 28)

    own = Study("first-look", **SMALL, prior="two-stage(hidden=8)")
    with pytest.raises(ComponentError, match="only bounded from below. Use prior 'flow'"):
        own.space.prior_log_density(torch.zeros(2))
    with pytest.raises(ComponentError, match="is only bounded, so nothing can follow it"):
        annealed_bound(own)
    metrics = evaluate(own, bounds=((5, 10),), paths=5)
    aggregate = metrics["test"]["aggregate_posterior"]
    assert aggregate.keys() == {"mmd2", "mutual_information", "hole_fraction"}
    assert 0 <= aggregate["hole_fraction"] <= 1
    assert "only bounded" in metrics["left_out"]["aggregate_posterior.kl"]


def test_what_has_nothing_to_learn_stays_as_it_is():
    fitted = gaussian().fit_prior("normal")
    assert fitted.test == pytest.approx(fitted.own)


def test_codes_that_occur_together_are_learned(discrete: Study):
    before, draws = weights(discrete), discrete.sample(9)
    fitted = discrete.fit_prior("autoregressive(width=16)", epochs=30, batch=32, lr=1e-2)
    assert fitted.own is not None
    assert fitted.own == pytest.approx(3 * torch.tensor(4.0).log().item())
    codes = discrete.space.codes(discrete.train)
    shares = codes.unique(dim=0, return_counts=True)[1] / len(codes)
    entropy = -(shares * shares.log()).sum().item()
    assert entropy - 1e-3 <= fitted.train < entropy + 0.2
    assert fitted.train < fitted.own - 0.2
    assert all(torch.equal(before[name], value) for name, value in weights(discrete).items())
    assert torch.equal(draws, discrete.sample(9))
    assert not torch.equal(draws, discrete.sample(9, prior="autoregressive"))


def test_the_same_seed_gives_the_same_bits(discrete: Study):
    spec, found = "autoregressive(width=8)", []
    for noise in (0, 1):
        torch.manual_seed(noise)
        discrete.fit_prior(spec, epochs=1)
        found.append(discrete.fitted_prior("autoregressive").state_dict())
    assert all(torch.equal(found[0][name], value) for name, value in found[1].items())
    discrete.fit_prior(spec, epochs=1, seed=1)
    other = discrete.fitted_prior("autoregressive").state_dict()
    assert not all(torch.equal(found[0][name], value) for name, value in other.items())


def test_a_plain_autoencoder_can_be_sampled_through_one():
    study = Study("first-look", **SMALL, posterior="point", objective="elbo(beta=0)")
    with pytest.raises(ComponentError, match="fit-prior"):
        study.sample(3)
    assert study.fit_prior(SHIFTED, epochs=1).own is None
    assert study.sample(3, prior="Shifted").shape == (3, 1, 28, 28)


@pytest.mark.parametrize(
    "posterior", ["residual-vq(codes=4)", "fsq", "gumbel-softmax(positions=3)"]
)
def test_every_discrete_posterior_takes_one(posterior: str):
    study = Study("first-look", **SMALL, posterior=posterior, latent=6)
    fitted = study.fit_prior("autoregressive(width=8)", epochs=10, lr=1e-2)
    assert fitted.own is not None
    assert fitted.test < fitted.own + 0.1  # codes that come out uniform cost what they cost
    assert study.sample(3, prior="autoregressive").shape == (3, 1, 28, 28)


def test_a_prior_over_other_codes_is_refused(discrete: Study):
    with pytest.raises(ComponentError, match="Use prior 'uniform-codes'"):
        discrete.fit_prior("normal")


def test_a_name_that_was_not_fitted_is_told_what_was():
    study = gaussian()
    study.fit_prior(SHIFTED, epochs=1)
    with pytest.raises(OptionError, match=r"no fitted prior 'Shift'. Did you mean 'Shifted'\?"):
        study.sample(3, prior="Shift")


def test_a_run_keeps_it_beside_its_own(tmp_path):
    folder, study = pipeline.start(
        configuration("first-look", **SMALL, **CODES), root=tmp_path, name="run"
    )
    pipeline.train(folder, study)
    fitted = pipeline.fit_prior(folder, study, "autoregressive(width=8)", epochs=1)
    again = Study.load(folder)
    assert torch.equal(again.sample(5), study.sample(5))
    assert torch.equal(
        again.sample(5, prior="autoregressive"), study.sample(5, prior="autoregressive")
    )
    recorded = RunFolder(folder.path).record["priors"]["autoregressive"]
    assert recorded["spec"] == "autoregressive(width=8)"
    assert recorded["test"] == fitted.test
    weights = folder / "priors/autoregressive.safetensors"
    content = weights.read_bytes()
    digest = folder.record["priors/autoregressive_sha256"]
    assert digest == sha256(content).hexdigest()
    assert folder.verify("priors/autoregressive.safetensors") == content
    earlier = {k: v for k, v in folder.record.items() if not k.startswith("priors/")}
    earlier["priors"]["autoregressive"]["sha256"] = digest  # where earlier versions had it
    write_json(folder / RUN, earlier)
    assert torch.equal(
        Study.load(folder).sample(5, prior="autoregressive"),
        study.sample(5, prior="autoregressive"),
    )
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(RunError, match="safetensors is damaged"):
        Study.load(folder).sample(5, prior="autoregressive")


def test_a_conditional_model_takes_one_for_each_class():
    study = Study("first-look", **SMALL, conditional=True)
    fitted = study.fit_prior("normal")
    assert fitted.test == pytest.approx(fitted.own)
    drawn = study.sample(3, "heart", prior="normal")
    assert torch.equal(drawn, study.sample(3, "heart"))


def test_training_starts_anew_without_the_old_priors():
    study = gaussian()
    study.fit_prior(SHIFTED, epochs=1)
    study.fit()
    with pytest.raises(OptionError, match="Fitted: none"):
        study.sample(3, prior="Shifted")
