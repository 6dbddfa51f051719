"""Objectives: what training minimises. An open set: one file each."""

from vaescape.components import import_members
from vaescape.objectives.base import EvidenceObjective, Loss, Objective

import_members(__name__, __path__)

__all__ = ["EvidenceObjective", "Loss", "Objective"]
