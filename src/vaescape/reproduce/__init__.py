"""Reproductions of published results, each by one command; a new one is one new file."""

from vaescape.components import import_members
from vaescape.reproduce.base import Made, Reproduction, reproduce

__all__ = ["Made", "Reproduction", "reproduce"]

import_members(__name__, __path__)
