"""Where the page writes the names of classes, and the images that stand for them."""

from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from vaescape.geometry.islands import islands
from vaescape.representatives import representatives
from vaescape.study import Study


def places(
    study: Study, z: Float[Tensor, "N D"], labels: Int[Tensor, " N"], train: int
) -> dict[str, Any]:
    """Return the islands of each class and its representative, by the page's numbers of images.

    Args:
        study: Trained.
        z: Latents of all images, the training images first.
        labels: Their classes.
        train: How many are training images.
    """
    if not study.classes:
        return {"islands": None, "representatives": None}
    chosen = representatives(study)
    return {
        "islands": [
            {"label": one.label, "index": one.medoid, "share": round(one.share, 3)}
            for one in islands(z, labels)
        ],
        "representatives": [
            train + chosen[label] if label in chosen else None
            for label in range(len(study.classes))
        ],
    }
