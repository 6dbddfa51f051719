"""Models: what the parts of a VAE make together."""

from vaescape.models.evidence import Evidence, Latent, LatentVariableModel
from vaescape.models.vae import VAE

__all__ = ["VAE", "Evidence", "Latent", "LatentVariableModel"]
