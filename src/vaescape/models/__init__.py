"""Models: what the parts of a VAE make together. An open set: one file each."""

from vaescape.components import import_members
from vaescape.models.base import Model
from vaescape.models.evidence import Evidence, Latent
from vaescape.models.vae import VAE

__all__ = ["VAE", "Evidence", "Latent", "Model"]

import_members(__name__, __path__)
