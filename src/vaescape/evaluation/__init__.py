"""What a trained model is worth, in numbers. Nothing here calls an objective."""

from vaescape.evaluation.annealed import TEMPERATURES, annealed_bound
from vaescape.evaluation.budget import Measure
from vaescape.evaluation.importance import BOUNDS, POOLED_BOUNDS, Bounds, importance_bound, pools
from vaescape.evaluation.lower_bound import elbo
from vaescape.evaluation.reconstructions import code_errors
from vaescape.evaluation.samples import class_agreement, sample_quality
from vaescape.evaluation.smoothness import smoothness_table
from vaescape.evaluation.whole import evaluate

__all__ = [
    "BOUNDS",
    "POOLED_BOUNDS",
    "TEMPERATURES",
    "Bounds",
    "Measure",
    "annealed_bound",
    "class_agreement",
    "code_errors",
    "elbo",
    "evaluate",
    "importance_bound",
    "pools",
    "sample_quality",
    "smoothness_table",
]
