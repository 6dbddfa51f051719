"""Kingma & Welling's figures 2 and 4."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from vaescape import figures
from vaescape.evaluation import elbo
from vaescape.plots.style import Picture, drawing, picture_of
from vaescape.recipes import Configuration, configuration
from vaescape.reproduce.base import Made, Reproduction, markdown_table
from vaescape.study import Study

LATENT = (2, 3, 5, 10, 20, 200)
"""The paper's sizes for its figure 2, and 2 for its figure 4."""

Row = Mapping[str, Any]


class AEVB(Reproduction, name="aevb"):
    """Kingma & Welling (2014), figures 2 and 4: the bound while it trains, and the 2-D manifold."""

    title = "The lower bound against training samples, and the manifold"
    published = """
Kingma & Welling (2014), *Auto-Encoding Variational Bayes*, figures 2 and 4, with their network
(one tanh layer of 500 on each side, weights drawn from N(0, 0.01²)), optimiser (Adagrad,
batches of 100, one draw of z, a prior N(0, 1) on the weights) and latent sizes; on
Fashion-MNIST instead of MNIST, so the heights do not compare. What the paper says of its figure
does: superfluous latent variables do not overfit. It trained up to 10⁸ samples, on a processor
that took 20 to 40 minutes per million.
"""

    def models(self) -> dict[str, Configuration]:
        """Return one model for each latent size."""
        base = configuration(
            "aevb", optimiser="adagrad(decay=1.667e-05)", epochs=10, precision="bfloat16"
        )
        return {f"latent-{size}": base.with_changes(latent=size) for size in LATENT}

    def measure(self, study: Study) -> dict[str, Any]:
        """Return the bound on both splits, and the number of dimensions that carry information."""
        test, train = elbo(study, study.test), elbo(study, study.train)
        active = sum(kl > 0.1 for kl in test["kl_per_dimension"])
        return {"test": test["negative_elbo"], "train": train["negative_elbo"], "active": active}

    def table(self, made: Mapping[str, Made]) -> str:
        """Return the bounds at the end, by latent size."""
        header = [
            "latent size",
            "bound, training images, nats",
            "bound, test images, nats",
            "gap",
            "dimensions above 0.1 nats",
            "training samples",
            "minutes per million",
        ]
        rows = []
        for one in made.values():
            n, seen = one.numbers, _samples(one)
            rows.append(
                [
                    str(one.study.space.latent),
                    *(f"{-n[split]:.2f}" for split in ("train", "test")),
                    f"{n['test'] - n['train']:.2f}",
                    str(n["active"]),
                    f"{seen:,}",
                    f"{one.seconds / 60 / (seen / 1e6):.1f}",
                ]
            )
        return markdown_table(header, rows)

    def figures(self, made: Mapping[str, Made]) -> dict[str, Picture]:
        """Return figure 2, and figure 4 of the plane."""
        curves = {
            one.study.space.latent: [_point(one, row) for row in one.folder.history()]
            for one in made.values()
        }
        return {
            "aevb-bound": bounds(curves),
            "aevb-manifold": figures.draw(made["latent-2"].study, "manifold"),
        }


def _samples(one: Made) -> int:
    return one.folder.history()[-1]["step"] * one.study.configuration.train.batch


def _point(one: Made, row: Row) -> tuple[float, float, float]:
    """Return the training samples seen, and the bound on training and on test images in nats."""
    seen = row["step"] * one.study.configuration.train.batch
    return seen, -row["train"]["loss"], -row["held_out"]["loss"]


def bounds(
    curves: Mapping[int, Sequence[tuple[float, float, float]]], *, theme: str = "light"
) -> Picture:
    """The lower bound against training samples, a panel for each latent size.

    After Kingma & Welling (2014, figure 2).

    Args:
        curves: By latent size, rows of samples seen and of the bound in nats, train and test.
        theme: ``"light"`` or ``"dark"``.
    """
    panel, gap = 1.62, 0.12
    title = "The lower bound while it trains"
    note = "nats per image, against training samples seen; a panel for each latent size"
    with drawing(0.95 + len(curves) * (panel + gap), 3.9, theme, title, note) as figure:
        every = [value for rows in curves.values() for _, *values in rows for value in values]
        low, high = min(every), max(every)
        for i, (size, rows) in enumerate(curves.items()):
            axes = figure.place(0.75 + i * (panel + gap), 1.0, panel, 2.25)
            _panel(axes, rows, last=i == len(curves) - 1)
            axes.set_title(f"D = {size}")
            axes.set_ylim(low - 0.03 * (high - low), high + 0.06 * (high - low))
            if i:
                axes.tick_params(labelleft=False)
            else:
                axes.set_ylabel("lower bound, nats")
        figure.text(0.5, 0.16 / 3.9, "training samples", ha="center", color=figure.theme.muted)
    return figure


def _panel(axes: Axes, rows: Sequence[tuple[float, float, float]], *, last: bool) -> None:
    look = picture_of(axes).theme
    seen, train, test = zip(*rows, strict=True)
    marker = "o" if len(rows) == 1 else None
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.plot(
        seen, train, color=look.second, linestyle=(0, (3, 1.5)), marker=marker, label="training"
    )
    axes.plot(seen, test, color=look.first, marker=marker, label="test")
    if last:
        axes.legend(loc="lower right", fontsize=8.5)
