"""The laws that every component of this package keeps, for components of your own.

>>> from vaescape.testing import laws_of
>>> laws_of("prior", "mixture(components=3)")

It returns when all hold and raises ``AssertionError`` with a sentence when one does not. With
pytest, one test for each::

    @pytest.mark.parametrize("law", laws("prior"), ids=lambda law: law.__name__)
    def test_my_prior(law):
        law(Case("prior", "my_module:MyPrior"))

Nothing here needs pytest.
"""

from vaescape.testing.case import Case
from vaescape.testing.combinations import combinations, refusal, spread, trains
from vaescape.testing.densities import (
    disc,
    draws_what_it_scores,
    every_code,
    plane,
    sphere,
)
from vaescape.testing.laws import laws, laws_of
from vaescape.testing.tracing import traces

__all__ = [
    "Case",
    "combinations",
    "disc",
    "draws_what_it_scores",
    "every_code",
    "laws",
    "laws_of",
    "plane",
    "refusal",
    "sphere",
    "spread",
    "traces",
    "trains",
]
