"""Where the page writes the names of classes, and the images that stand for them."""

from vaescape.explore.view import Section, View
from vaescape.geometry.islands import islands
from vaescape.representatives import representatives


def places(view: View) -> Section:
    """Return the islands of each class and its representative, by the page's numbers of images."""
    study, codes = view.study, view.codes
    if not study.classes:
        return {"islands": None, "representatives": None}, {}
    chosen = representatives(study)
    found = [
        {"label": one.label, "index": one.medoid, "share": round(one.share, 3)}
        for one in islands(codes.mean, codes.label)
    ]
    stand_for = [
        codes.train + chosen[label] if label in chosen else None
        for label in range(len(study.classes))
    ]
    return {"islands": found, "representatives": stand_for}, {}
