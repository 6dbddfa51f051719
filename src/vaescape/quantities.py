"""Every number that is printed: its name, its title, its unit and which way is better."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Quantity:
    """A number by its name in ``metrics.json``, and how it is printed."""

    name: str
    title: str
    unit: str = ""
    """Empty for a count, a share or a ratio."""
    better: Literal["lower", "higher"] | None = None
    """None where neither is better in itself."""
    headline: bool = False
    """Whether it stands among the first numbers that the terminal, report and page print."""

    @property
    def heading(self) -> str:
        """The title with a capital letter."""
        return self.title[:1].upper() + self.title[1:]


NEGATIVE_LOG_LIKELIHOOD = Quantity(
    "negative_log_likelihood", "negative log-likelihood", "nats", "lower", headline=True
)
CROSS_ENTROPY = Quantity("cross_entropy", "cross-entropy", "nats", "lower", headline=True)
DISSIMILARITY = Quantity(
    "dissimilarity",
    "structural dissimilarity",
    "weighted 1 − SSIM, summed over pixels",
    "lower",
    headline=True,
)

QUANTITIES = {
    quantity.name: quantity
    for quantity in (
        Quantity("loss", "loss", "nats", "lower"),
        Quantity("negative_elbo", "negative ELBO", "nats", "lower", headline=True),
        NEGATIVE_LOG_LIKELIHOOD,
        CROSS_ENTROPY,
        DISSIMILARITY,
        Quantity("kl", "KL divergence", "nats", headline=True),
        Quantity("kl_per_dimension", "KL per dimension", "nats"),
        Quantity("kl_per_layer", "KL per layer", "nats"),
        Quantity("mse", "MSE", "squared pixels, white is 1", "lower", headline=True),
        Quantity("mean_image_mse", "MSE of the mean image", "squared pixels, white is 1"),
        Quantity("psnr", "PSNR", "dB", "higher", headline=True),
        Quantity("ssim", "SSIM", "", "higher", headline=True),
        Quantity("accuracy", "accuracy", "", "higher", headline=True),
        Quantity("negative_elbo_without_labels", "negative ELBO without labels", "nats", "lower"),
        Quantity("nats", "nats", "nats", "lower"),
        Quantity("mean_kl", "mean KL divergence", "nats"),
        Quantity("mutual_information", "mutual information", "nats"),
        Quantity("kl_error", "standard error of the KL divergence", "nats"),
        Quantity("kl_to_prior", "KL divergence to the prior", "nats"),
        Quantity("marginal_kl", "marginal KL divergence", "nats"),
        Quantity("penalty", "penalty", "nats"),
        Quantity("hole_fraction", "hole fraction", "", "lower"),
        Quantity("mmd2", "MMD²", "", "lower"),
        Quantity("curvature", "curvature", "radians", "lower"),
        Quantity("nearest_distance", "nearest distance", "pixels, Euclidean", "lower"),
        Quantity("end_distance", "end distance", "pixels, Euclidean"),
        Quantity("log_density", "log density", "nats", "higher"),
        Quantity("knn_accuracy", "k-NN accuracy", "", "higher"),
        Quantity("linear_probe_accuracy", "linear probe accuracy", "", "higher"),
        Quantity("classifier_accuracy", "classifier accuracy", "", "higher"),
        Quantity("class_agreement", "class agreement", "", "higher"),
        Quantity("seconds", "seconds", "s", "lower"),
        Quantity("images_per_second", "images per second", "images/s", "higher"),
    )
}
"""Whatever is not listed is a count, a share or a ratio, and its name is its title."""

Quantities = Mapping[str, Quantity]


def recorded(*, of: Quantity) -> dict[str, dict[str, Any]]:
    """Return the table as ``metrics.json`` has it, with the quantity of the model's likelihood."""
    return {name: asdict(each) for name, each in (QUANTITIES | {of.name: of}).items()}


def quantities_of(metrics: Mapping[str, Any]) -> dict[str, Quantity]:
    """Return the table that a ``metrics.json`` is read with: our entries, and its own over them."""
    return QUANTITIES | {
        name: Quantity(
            name,
            str(row.get("title", name)),
            str(row.get("unit", "")),
            row.get("better"),
            bool(row.get("headline")),
        )
        for name, row in (metrics.get("quantities") or {}).items()
    }


def headline(values: Mapping[str, Any], quantities: Quantities) -> list[Quantity]:
    """Return the quantities among these values that are printed first, in the values' order."""
    known = [quantities[name] for name, value in values.items()
             if name in quantities and value is not None]  # fmt: skip
    return [quantity for quantity in known if quantity.headline]
