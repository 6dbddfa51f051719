"""Priors p(z | c). An open set: one file each."""

from vaescape.components import import_members

import_members(__name__, __path__)
