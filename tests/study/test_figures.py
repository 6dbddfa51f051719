"""A figure is one class: what it draws, what it needs, its title and caption."""

import pytest
from PIL import Image

from vaescape import Study, components, draw
from vaescape.components import known
from vaescape.errors import OptionError, VaescapeError
from vaescape.figures import Figure, drawable, names, render, words_for
from vaescape.plots import kl_bars
from vaescape.report import build_report

NETWORK = "conv(channels=[4, 8], hidden=8)"


@pytest.fixture(scope="module")
def study() -> Study:
    return Study("first-look", network=NETWORK, limit=60, batch=20, epochs=1, threads=1).fit()


@pytest.fixture
def bars(monkeypatch) -> type[Figure]:
    """A figure from outside the package, forgotten after the test."""
    figures = dict(components._registry["figure"])
    monkeypatch.setattr(components, "_registry", components._registry | {"figure": figures})

    class Bars(Figure, name="bars"):
        """Three bars."""

        title = "Bars of my own"
        caption = "What I say of them."

        def needs(self, study: Study) -> str | None:
            return None if study.space.latent == 2 else "two latent dimensions"

        def draw(self, study: Study, *, count: int = 3, theme: str = "light"):
            return kl_bars([1.0] * count, theme=theme)

    return Bars


def test_a_figure_of_ones_own_is_drawn_rendered_and_reported(study, bars, tmp_path):
    assert names()[-1] == "bars"
    assert "bars" in drawable(study)
    assert draw(study, "bars", count=5).axes
    files = render(study, tmp_path, ["bars"])
    assert files["bars"] == tmp_path / "bars.svg"
    page = build_report({}, {}, [], files)
    assert "Bars of my own" in page
    assert "What I say of them." in page
    other = Study("first-look", network=NETWORK, limit=60, latent=3)
    with pytest.raises(OptionError, match="'bars' needs two latent dimensions"):
        draw(other, "bars")


def test_every_figure_has_words_of_its_own():
    for name in known("figure"):
        assert all(words_for(name)), name


def test_the_report_does_not_repeat_the_heading_of_the_reconstructions(study):
    heading = draw(study, "reconstructions").texts[0].get_text()
    assert heading == "Reconstructions"
    assert words_for("reconstructions").title != heading


def test_a_wrong_name_has_the_nearest(study):
    with pytest.raises(VaescapeError, match="Did you mean 'map'"):
        draw(study, "mapp")


def test_the_animation_is_a_gif_and_its_frames_a_picture(study, tmp_path):
    with Image.open(render(study, tmp_path, ["animation"])["animation"]) as film:
        assert 4 * 20 < film.n_frames <= 4 * 23  # type: ignore[attr-defined]
    assert "frames of the walk" in str(draw(study, "animation").texts)
