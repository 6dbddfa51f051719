"""A run as one HTML file: readable without a network, on paper, on a phone, in light and dark."""

from vaescape.report.page import build_report

__all__ = ["build_report"]
