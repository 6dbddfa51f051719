"""The density estimation table of the Exemplar VAE paper."""

from collections.abc import Mapping
from typing import Any

from vaescape.evaluation import elbo, importance_bound
from vaescape.recipes import Configuration, configuration
from vaescape.reproduce.base import Made, Reproduction, markdown_table
from vaescape.study import Study

SAMPLES = 5000
"""For each test image, as in the paper."""

DRAWS = 5
"""For each image in training."""

MODELS = {
    "normal": {"prior": "normal", "epochs": 120},
    "vamp": {"prior": "vamp", "epochs": 40},
    "exemplar": {"prior": "exemplar(components=5000)", "epochs": 20},
}
"""An epoch of the last two takes twice as long: the prior's own images are encoded at each step."""

PUBLISHED = {"normal": -228.70, "vamp": -227.35, "exemplar": -226.75}
"""Test log-likelihood in nats, by prior."""


class ExemplarTable(Reproduction, name="exemplar"):
    """Norouzi et al. (2020): log-likelihood of binarised Fashion-MNIST under three priors."""

    title = "Fashion-MNIST's log-likelihood under three priors"
    published = f"""
Norouzi, Fleet & Norouzi (2020), *Exemplar VAE*, density estimation table: the mean
log-likelihood of the 10,000 test images in nats, higher is better, by {SAMPLES:,} importance
samples from q(z | x). The protocol is theirs: the first 50,000 images train, binarised anew in
every batch; the last 10,000 validate; validation and test images are binarised once with
NumPy's seed 777; z has 40 dimensions, each side two gated layers of 300. Not as there: the
importance-weighted bound of {DRAWS} draws is maximised, by its doubly reparameterised gradient
(theirs: the ELBO), by Adam with one cycle of the learning rate for a fixed number of epochs
(theirs: normalised gradients, up to 2,000 epochs, stopped early); and the exemplar prior has
5,000 exemplars (theirs: 25,000).
"""

    def models(self) -> dict[str, Configuration]:
        """Return the plain VAE, and the same with the two other priors."""
        plain = configuration(
            "exemplar/vae",
            objective=f"iwae(samples={DRAWS}, estimator='dreg')",
            batch=200,
            lr=3e-3,
            schedule="one-cycle(warmup=0.1)",
            precision="bfloat16",
        )
        return {name: plain.with_changes(**changes) for name, changes in MODELS.items()}

    def measure(self, study: Study) -> dict[str, Any]:
        """Return minus the bound of 5,000 samples, and the ELBO of test and validation images."""
        splits = study.splits
        assert splits.validation is not None
        return {
            "importance_weighted_bound": importance_bound(study, SAMPLES, chunk=2000),
            "test": elbo(study, splits.test),
            "validation": elbo(study, splits.validation),
        }

    def table(self, made: Mapping[str, Made]) -> str:
        """Return a row for each prior."""
        header = [
            "prior",
            "published, nats",
            f"ours, {SAMPLES:,} samples",
            "effective samples",
            f"validation, bound of {DRAWS} samples (what training maximised)",
            "validation ELBO",
            "test ELBO",
            "test images",
        ]
        rows = []
        for name, one in made.items():
            bound = one.numbers["importance_weighted_bound"]
            rows.append(
                [
                    name,
                    f"{PUBLISHED[name]:.2f}" if name in PUBLISHED else "–",
                    f"**{-bound['nats']:.2f}**",
                    f"{bound['effective_samples']:.0f}",
                    f"{-one.folder.history()[-1]['held_out']['loss']:.2f}",
                    *(
                        f"{-one.numbers[split]['negative_elbo']:.2f}"
                        for split in ("validation", "test")
                    ),
                    f"{bound['images']:,}",
                ]
            )
        return markdown_table(header, rows)
