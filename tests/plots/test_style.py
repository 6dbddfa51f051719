"""Files, themes and words: what all figures share."""

import io
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from vaescape import plots
from vaescape.errors import OptionError, RunError
from vaescape.plots.style import THEMES, decimals, plain, png_bytes, svg_text, themable

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def cloud():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 60)
    return rng.normal(size=(180, 2)) + 4.0 * labels[:, None], labels


def the_map(cloud, names=("a", "b", "c"), **options):
    points, labels = cloud
    return plots.latent_map(points, labels, names, **options)


def test_importing_the_package_loads_no_matplotlib():
    code = "import sys, vaescape.plots; assert not {'matplotlib', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_figure_touches_pyplot():
    code = (
        "import sys; from vaescape import plots;"
        "plots.kl_bars([1.0]); plots.latent_map([[0, 0]]);"
        "assert 'matplotlib.pyplot' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_resolves():
    assert all(getattr(plots, name) for name in dir(plots))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = plots.nonsense


def test_the_same_figure_gives_the_same_bytes(cloud, tmp_path):
    first = plots.save_figure(the_map(cloud), tmp_path / "one.v1")
    again = plots.save_figure(the_map(cloud), tmp_path / "two.v1")
    assert [path.name for path in first] == ["one.v1.png", "one.v1.svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


def test_the_users_own_settings_do_not_leak_in(cloud):
    import matplotlib

    wanted = png_bytes(the_map(cloud))
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "xtick.labelsize": 25}):
        assert png_bytes(the_map(cloud)) == wanted


def test_a_figure_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="Could not write"):
        plots.save_figure(plots.kl_bars([1.0]), tmp_path / "file" / "kl")


def test_a_figure_shows_itself_in_a_notebook(cloud):
    data, size = the_map(cloud)._repr_png_()
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (2 * size["width"], 2 * size["height"])


def test_text_is_text_in_svg_and_hostile_names_are_harmless(cloud):
    names = ("</text><script>alert(1)</script>", "$\\frac{$ \x01\n", "\udcff" + "x" * 90)
    svg = svg_text(the_map(cloud, names))
    root = ElementTree.fromstring(svg)
    words = "".join(root.itertext())
    assert "</text><script>alert" in words
    assert not [element for element in root.iter() if "script" in element.tag]
    assert "The latent map" in words
    assert "$\\frac{$" in words


def test_halos_survive_as_text_and_return_to_the_png(cloud):
    figure = the_map(cloud)
    before = png_bytes(figure)
    svg = svg_text(figure)
    assert svg.count("paint-order: stroke") == 3
    assert "halo-" not in svg
    assert png_bytes(figure) == before


def test_one_svg_serves_both_themes(cloud):
    svg = themable(svg_text(the_map(cloud)))
    assert not [colour for colour in vars(THEMES["light"]).values() if colour in svg]
    assert "var(--ink)" in svg
    assert "var(--paper)" in svg


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_paper_and_ink_follow_the_theme(theme, cloud):
    figure = the_map(cloud, theme=theme)
    with Image.open(io.BytesIO(png_bytes(figure))) as image:
        corner = image.convert("RGB").crop((1, 1, 2, 2)).tobytes()
    assert f"#{corner.hex()}" == THEMES[theme].paper


def test_unknown_theme_is_named():
    with pytest.raises(OptionError, match=r"light, dark.*'sepia'"):
        plots.kl_bars([1.0], theme="sepia")


def contrast(one, other):
    def luminance(colour):
        rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES.values(), ids=list(THEMES))
def test_words_have_the_contrast_that_accessibility_asks(theme):
    for role in (theme.ink, theme.muted, theme.first, theme.second):
        assert contrast(role, theme.paper) >= 4.5


def test_plain_words():
    assert plain("a\nb\x00") == "a\ufffdb\ufffd"
    assert plain("x" * 50, 10) == "x" * 9 + "…"
    assert (decimals([0.0308, 0.001]), decimals([260.9]), decimals([0.0])) == (5, 1, 0)


@pytest.mark.parametrize("count", [1, 3, 10])
def test_no_label_is_clipped_or_overlaps_another(count, cloud):
    rng = np.random.default_rng(1)
    labels = np.arange(200) % count
    names = [f"Class number {i}" for i in range(count)]
    figure = plots.latent_map(rng.normal(size=(200, 2)) * 0.1, labels, names)
    figure.draw_without_rendering()
    width, height = figure.bbox.width, figure.bbox.height
    boxes = {t: t.get_window_extent() for t in figure.axes[0].texts if t.get_text() in names}
    for text, box in boxes.items():
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
    placed = list(boxes.values())
    assert len(placed) == count
    assert not [1 for i, a in enumerate(placed) for b in placed[:i] if a.overlaps(b)]
