"""Figure ``codes``."""

from vaescape import plots
from vaescape.figures.base import Figure
from vaescape.figures.view import MAPPED, one_class
from vaescape.metrics.codes import usage
from vaescape.study import Study


class DecodedCodes(Figure, name="codes"):
    """The most used codes decoded; with several positions, one row for each."""

    title = "What each code decodes to"
    caption = (
        "The decoded images of the discrete codes, the most frequent first. Before each row: the "
        "share of test images that have one of its codes. With several positions, each row varies "
        "one position; the others keep their most frequent code."
    )
    alt = "A grid of decoded codes, the most used first."
    chapter = "The latent space"
    order = 70

    def needs(self, study: Study) -> str | None:
        return None if study.space.discrete else "a posterior with discrete codes"

    def draw(
        self, study: Study, *, most: int = 12, label: str | int | None = None, theme: str = "light"
    ) -> plots.Picture:
        label, _ = one_class(study, label)
        head, index = study.model.posterior.head, study.space.codes(study.some(study.test, MAPPED))
        order = usage(index, head.codes).argsort(descending=True, stable=True)
        usual = index.mode(0).values
        rows = [(0, part) for part in order[0].split(most)]
        if head.positions > 1:
            rows = [(position, row[:most]) for position, row in enumerate(order)]
        images, names = [], []
        for position, row in rows[:most]:
            chosen = usual.repeat(len(row), 1)
            chosen[:, position] = row
            images.append(study.decode(head.lookup(chosen.to(study.device)), label))
            used = (index[:, position, None] == row).any(-1).double().mean()
            names.append(
                f"position {position + 1}: {used:.0%}" if len(usual) > 1 else f"{used:.0%}"
            )
        return plots.codes(images, names, theme=theme)
