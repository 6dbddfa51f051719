"""Each figure, on ordinary and on odd input, down to the pixels."""

import io
from itertools import pairwise

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba
from PIL import Image, ImageSequence
from scipy.special import ndtr, ndtri

from vaescape import plots
from vaescape.errors import OptionError
from vaescape.plots.sheets import tile, to_rgb
from vaescape.plots.style import DPI, png_bytes, svg_text
from vaescape.quantities import NEGATIVE_LOG_LIKELIHOOD

RNG = np.random.default_rng(0)


def pixels(figure):
    with Image.open(io.BytesIO(png_bytes(figure))) as image:
        return np.asarray(image.convert("RGB"))


def words(figure):
    from matplotlib.text import Text

    figure.draw_without_rendering()
    return [
        text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text()
    ]


def image_axes(figure):
    return [axes for axes in figure.axes if axes.images]


def drawn(figure, axes):
    """The device pixels of an image axes, which must begin and end at whole pixels."""
    box = axes.get_window_extent()
    edges = np.array([box.x0, box.x1, box.y0, box.y1])
    np.testing.assert_allclose(edges, np.rint(edges), atol=1e-6)
    left, right, bottom, top = np.rint(edges).astype(int)
    height = round(figure.bbox.height)
    return pixels(figure)[height - top : height - bottom, left:right]


def history(dimensions, rows=6, held_out=True):
    def split(epoch):
        kl = [float(d) for d in range(dimensions)]
        return {
            "loss": 300.0 - epoch,
            "cross_entropy": 290.0 - epoch,
            "kl": 7.0,
            "kl_per_dimension": kl,
        }

    return [
        {
            "epoch": float(e),
            "step": e,
            "train": split(e),
            "held_out": split(e) if held_out else None,
        }
        for e in range(rows)
    ]


@pytest.mark.parametrize("rows", [1, 6])
@pytest.mark.parametrize("dimensions", [1, 2, 16])
def test_training_curves(dimensions, rows):
    figure = plots.training_curves(history(dimensions, rows), held_out="validation")
    shown = words(figure)
    assert len(figure.axes) == 4
    assert {"Loss", "Cross-entropy", "KL divergence", "train", "validation"} <= set(shown)
    assert ("z₁₆" if dimensions == 16 else "z₁") in shown


def test_training_curves_without_held_out_kl_or_anything():
    assert "train" in words(plots.training_curves(history(2, held_out=False)))
    rows = [{"epoch": 1.0, "train": {"loss": 0.1}, "held_out": None}]
    alone = plots.training_curves(rows)
    assert len(alone.axes) == 1  # what was not recorded has no panel
    assert "Loss" in words(alone)
    assert len(plots.training_curves([]).axes) == 0


def test_training_curves_name_the_likelihood():
    rows = [{"epoch": 1.0, "train": {"loss": 1.0, "negative_log_likelihood": 1.0, "kl": 0.0}}]
    shown = words(plots.training_curves(rows, term=NEGATIVE_LOG_LIKELIHOOD))
    assert "Negative log-likelihood" in shown
    assert "Cross-entropy" not in shown


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_reconstructions(channels, count):
    images = RNG.random((count, channels, 8, 8))
    errors = np.arange(count)[::-1] / 100
    figure = plots.reconstructions(images, images * 0.5, errors, columns=3)
    shown = words(figure)
    assert {"original", "decoded", "|difference|"} <= set(shown)
    assert len(image_axes(figure)) == (3 if count >= 3 else 1)
    assert ("Worst" in shown) == (count >= 3)


def test_reconstructions_pick_best_and_worst_by_error():
    images = np.linspace(0, 1, 9)[:, None, None, None] * np.ones((9, 1, 4, 4))
    errors = np.array([5, 1, 9, 3, 4, 2, 8, 6, 7])
    figure = plots.reconstructions(images, images, errors, columns=1)
    best, median, worst = (drawn(figure, axes)[2, 2, 0] / 255 for axes in image_axes(figure))
    np.testing.assert_allclose([best, median, worst], [1 / 8, 0.0, 2 / 8], atol=0.01)


def test_reconstructions_want_as_many_of_each():
    with pytest.raises(OptionError, match="got 2, 2 and 3"):
        plots.reconstructions(np.zeros((2, 1, 4, 4)), np.zeros((2, 1, 4, 4)), [1, 2, 3])


def test_strip_of_tensors():
    images = torch.rand(5, 1, 28, 28)
    assert len(image_axes(plots.reconstruction_strip(images, images))) == 1


@pytest.mark.parametrize("size", [7, 28, 64, 100])
def test_image_pixels_are_whole_squares(size):
    image = RNG.integers(0, 2, (1, 1, size, size)).astype(float)
    figure = plots.samples(image)
    shown = drawn(figure, image_axes(figure)[0])
    zoom = shown.shape[0] // size
    assert shown.shape == (zoom * size, zoom * size, 3)
    wanted = np.repeat(np.repeat(image[0, 0] * 255, zoom, 0), zoom, 1)
    np.testing.assert_array_equal(shown[..., 0], wanted)


def test_svg_keeps_image_pixels_sharp():
    svg = svg_text(plots.samples(np.zeros((4, 1, 28, 28))))
    assert "image-rendering:crisp-edges;image-rendering:pixelated" in svg


def test_the_title_says_what_samples_are():
    assert "Samples from the prior: decoder means" in words(plots.samples(np.zeros((3, 1, 4, 4))))
    noisy = plots.samples(np.zeros((3, 1, 4, 4)), kind="draws from the likelihood")
    assert "Samples from the prior: draws from the likelihood" in words(noisy)


def test_colour_is_colour_and_the_rest_is_grey():
    red = np.zeros((1, 3, 2, 2))
    red[:, 0] = 1
    np.testing.assert_array_equal(to_rgb(red)[0, 0, 0], [1, 0, 0])
    np.testing.assert_array_equal(to_rgb(np.full((1, 1, 1, 1), 255, np.uint8))[0, 0, 0], [1, 1, 1])
    assert to_rgb(RNG.random((1, 2, 4, 4))).shape == (1, 4, 4, 3)


def test_tiles_keep_order_and_leave_gaps_clear():
    rgb = np.arange(6.0).reshape(2, 3, 1, 1, 1).repeat(3, axis=-1) / 10
    sheet = tile(rgb, 1)
    assert sheet.shape == (3, 5, 4)
    np.testing.assert_allclose(sheet[::2, ::2, 0], rgb[:, :, 0, 0, 0])
    assert sheet[1].max() == sheet[:, 1].max() == 0.0


CLASSES = ["T-shirt/top", "Trouser", "Bag"]


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize("count", [1, 3])
def test_latent_map(dimensions, count):
    points = RNG.normal(size=(50, dimensions))
    labels = np.arange(50) % count
    axes_names = ("log σ₁²", "log σ₂²")
    figure = plots.latent_map(
        points, labels, CLASSES[:count], title="Log-variances", axes_names=axes_names
    )
    shown = words(figure)
    assert len(figure.axes) == 1
    assert {"Log-variances", "log σ₁²"} <= set(shown)
    assert ("log σ₂²" in shown) == (dimensions == 2)
    for c, name in enumerate(CLASSES[:count]):
        assert name in shown
        assert f"{name} ({(labels == c).sum()})" in shown


def test_latent_map_says_that_it_is_a_projection():
    projection = "PCA (61 % of variance of 16 dimensions)"
    points = RNG.normal(size=(30, 2))
    shown = " ".join(
        words(plots.latent_map(points, labels=[0] * 30, classes=["a"], projection=projection))
    )
    assert projection in shown


def test_latent_map_wants_a_plane():
    with pytest.raises(OptionError, match="projection"):
        plots.latent_map(RNG.normal(size=(30, 16)))


def test_latent_map_without_labels_with_equal_points_and_with_many_classes():
    assert len(plots.latent_map(np.zeros((4, 2))).axes) == 1
    many = plots.latent_map(
        RNG.normal(size=(90, 2)), np.arange(90) % 45, [f"class {i}" for i in range(45)]
    )
    assert "class 3" not in words(many)


def test_latent_map_counts_what_it_leaves_out():
    points = np.concatenate([RNG.normal(size=(5000, 2)), [[500.0, 0.0]]])
    assert any(text.endswith("outside the frame") for text in words(plots.latent_map(points)))


@pytest.mark.parametrize("scale", ["quantile", "linear"])
def test_second_coordinate_grows_upwards(scale):
    z = ndtri((np.arange(3) + 0.5) / 3) if scale == "quantile" else np.array([-1.0, 0.0, 1.0])
    grid = np.arange(9.0).reshape(3, 3, 1, 1, 1) / 9 * np.ones((1, 1, 1, 4, 4))
    figure = plots.manifold(grid, z, scale=scale)
    shown = drawn(figure, image_axes(figure)[0])[..., 0] / 255
    side = shown.shape[0] // 3
    corners = [shown[-2, 2], shown[-2, -2], shown[2, 2], shown[side + side // 2, side + side // 2]]
    np.testing.assert_allclose(corners, np.array([0, 2, 6, 4]) / 9, atol=0.005)


def test_points_lie_on_the_cells_that_decode_them():
    n = 10
    z = ndtri((np.arange(n) + 0.5) / n)
    figure = plots.manifold_with_map(np.zeros((n, n, 1, 4, 4)), z, np.array([[z[7], z[2]]]))
    axes = image_axes(figure)[0]
    spot = np.asarray(axes.collections[0].get_offsets())[0]
    left, right, bottom, top = axes.images[0].get_extent()
    assert (spot[0] - left) / (right - left) == pytest.approx(7.5 / n)
    assert (spot[1] - bottom) / (top - bottom) == pytest.approx(2.5 / n)


def test_ticks_are_in_z():
    n = 20
    z = ndtri((np.arange(n) + 0.5) / n)
    figure = plots.manifold(np.zeros((n, n, 1, 2, 2)), z)
    axes = image_axes(figure)[0]
    ticks = {
        float(t.get_text().replace("−", "-")): t.get_position()[0] for t in axes.get_xticklabels()
    }
    assert ticks[0.0] == pytest.approx(0.5)
    assert ticks[-1.0] == pytest.approx(ndtr(-1.0))


def test_uneven_coordinates_are_refused():
    with pytest.raises(OptionError, match="even steps on the quantile scale"):
        plots.manifold(np.zeros((5, 5, 1, 2, 2)), np.linspace(-3, 3, 5))
    with pytest.raises(OptionError, match="per column"):
        plots.manifold(np.zeros((5, 4, 1, 2, 2)), np.linspace(-3, 3, 5), scale="linear")
    with pytest.raises(OptionError, match="quantile, linear"):
        plots.manifold(np.zeros((1, 1, 1, 2, 2)), [0.0], scale="cubic")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 9)])
@pytest.mark.parametrize("channels", [1, 3])
def test_manifold_of_any_size(shape, channels):
    figure = plots.manifold(
        RNG.random((*shape, channels, 4, 4)),
        np.linspace(-2, 2, shape[1]) * (shape[1] > 1),
        scale="linear",
    )
    assert len(image_axes(figure)) == 1
    assert ("z₂" in words(figure)) == (shape[0] > 1)


def test_manifold_with_map_counts_points_outside():
    z = np.linspace(-1, 1, 5)
    points = np.array([[0.0, 0.0], [9.0, 0.0], [0.5, -0.5]])
    figure = plots.manifold_with_map(
        np.zeros((5, 5, 1, 4, 4)), z, points, [0, 1, 0], ["a", "b"], scale="linear"
    )
    shown = words(figure)
    assert "2 of 3 encoded images are in this frame" in shown
    assert "a" in shown
    assert "b" not in shown


def test_interpolation_strips_show_originals_where_given():
    rows = [("linear", RNG.random((6, 1, 8, 8))), ("spherical", RNG.random((6, 1, 8, 8)))]
    ends = [(np.ones((1, 8, 8)), np.ones((1, 8, 8))), None]
    plain = plots.interpolation_strips(rows)
    framed = plots.interpolation_strips(rows, originals=ends)
    assert (len(image_axes(plain)), len(image_axes(framed))) == (1, 3)
    assert words(framed).count("original") == 2
    assert {"linear", "spherical", "0.00", "1.00"} <= set(words(plain))
    left = drawn(framed, image_axes(framed)[0])
    assert left[2, 2, 0] == 255


def test_interpolation_strips_of_different_lengths_in_groups():
    rows = [(str(n), np.zeros((n, 3, 8, 8))) for n in (1, 4, 2)]
    assert len(image_axes(plots.interpolation_strips(rows, group=2))) == 2


@pytest.mark.parametrize("shape", [(1, 1), (3, 5)])
def test_interpolation_grid_outlines_its_corners(shape):
    figure = plots.interpolation_grid(RNG.random((*shape, 1, 8, 8)))
    assert len(figure.axes[0].patches) == (1 if shape == (1, 1) else 4)


@pytest.mark.parametrize("dimensions", [1, 16])
def test_traversals(dimensions):
    figure = plots.traversals(RNG.random((dimensions, 5, 1, 8, 8)), np.linspace(-2, 2, 5))
    assert {"z₁", "−2", "0", "2"} <= set(words(figure))


def test_regions():
    labels = np.arange(90) % 3
    points = RNG.normal(size=(90, 2)) + 3 * labels[:, None]
    images = RNG.random((3, 1, 28, 28))
    bare = plots.regions(points, labels, CLASSES)
    full = plots.regions(
        points, labels, CLASSES, centroids=images, medoids=images, originals=images
    )
    assert len(image_axes(bare)) == 2
    assert len(image_axes(full)) == 2 + 3  # one for each column of the table
    assert "decoded centroid" in words(full)
    assert words(bare).count("Trouser") == 3


@pytest.mark.parametrize("classes", [2, 3, 4, 10])
def test_the_headings_over_the_table_of_regions_stand_apart(classes):
    labels = np.arange(120) % classes
    points = RNG.normal(size=(120, 2))
    images = RNG.random((classes, 1, 28, 28))
    figure = plots.regions(
        points, labels, [str(c) for c in range(classes)], centroids=images, medoids=images
    )
    figure.draw_without_rendering()
    starts = ("Classes among the neighbours", "Representatives", "Overlaps most with")
    boxes = [
        text.get_window_extent()
        for start in starts
        for text in figure.texts
        if text.get_text().startswith(start)
    ]
    assert len(boxes) == 3
    gaps = [right.x0 - left.x1 for left, right in pairwise(boxes)]
    assert min(gaps) > 0.2 * DPI
    assert boxes[-1].x1 < figure.bbox.width


@pytest.mark.parametrize(
    ("images", "note"),
    [(9, "the 2 nearest of 9 images (25 from 100"), (100, "the 25 nearest of 100 images")],
)
def test_regions_ask_few_images_for_few_neighbours(images, note):
    labels = np.arange(images) % 3
    points = RNG.normal(size=(images, 2)) * 0.1 + 5 * labels[:, None]
    figure = plots.regions(points, labels, ["1", "10", "2"])
    shown = words(figure)
    assert any(note in text for text in shown)
    assert shown.count("100") == 3  # every class apart: its neighbours are its own


def test_regions_tell_the_name_of_a_class_from_its_share():
    points, labels = np.array([[0, 0], [0, 1], [0, 0.1], [0, 1.1]]), np.array([0, 0, 1, 1])
    shown = words(plots.regions(points, labels, ["1", "10"]))
    assert {"10 (100 %)", "1 (100 %)"} <= set(shown)


def test_names_of_small_classes_cover_no_point_of_the_map():
    points = np.array([[0, 0], [0.1, 0.1], [0.2, 0], [2, 2], [2.1, 2], [2, 2.1], [4, 0], [4, 0.3]])
    labels, names = np.array([0, 0, 0, 1, 1, 1, 2, 2]), ["1", "10", "2"]
    figure = plots.latent_map(points, labels=labels, classes=names)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    spots = axes.transData.transform(points)
    texts = [text for text in axes.texts if text.get_text() in names]
    assert sorted(text.get_text() for text in texts) == sorted(names)
    for text in texts:
        box = text.get_window_extent()
        inside = (spots >= (box.x0, box.y0)) & (spots <= (box.x1, box.y1))
        assert not inside.all(axis=1).any()
    assert {"1 (3)", "10 (3)", "2 (2)"} <= set(words(figure))


def test_regions_of_one_class_and_of_a_projection():
    figure = plots.regions(
        RNG.normal(size=(40, 2)),
        np.zeros(40, int),
        ["only"],
        latents=RNG.normal(size=(40, 16)),
        projection="PCA (50 % of variance)",
    )
    shown = words(figure)
    assert any("PCA (50 % of variance)" in text for text in shown)
    assert "none" in shown


@pytest.mark.parametrize("dimensions", [1, 2, 16, 100])
def test_kl_bars_mark_active_units(dimensions):
    kl = np.where(np.arange(dimensions) % 2 == 0, 1.0, 0.1)
    figure = plots.kl_bars(kl)
    active = (dimensions + 1) // 2
    assert any(text.startswith(f"{active} of {dimensions} active") for text in words(figure))
    filled = [bar for bar in figure.axes[0].patches if to_rgba(bar.get_facecolor())[3] > 0]
    assert len(filled) == active


def test_compare_prints_values_and_leaves_gaps():
    runs = {"one": {"negative_elbo": 265.93, "kl": 7.1}, "two": {"negative_elbo": 241.0}}
    figure = plots.compare(runs)
    shown = words(figure)
    assert len(figure.axes) == 2
    titles = {"negative ELBO ↓, nats", "KL divergence, nats"}
    assert {"one", "two", "265.9", "241.0"} | titles <= set(shown)


def test_compare_of_many_measures_fits_a_page_and_warns():
    runs = {name: {f"measure {n}": n / 3 for n in range(10)} for name in ("one", "two")}
    figure = plots.compare(runs, warning="Other images.")
    width, height = figure.get_size_inches()
    assert len(figure.axes) == 10
    assert width < 12  # before: 25 inches
    assert height < 7
    boxes = [axes.get_position() for axes in figure.axes]
    assert all(0 < box.x0 < box.x1 < 1 and 0 < box.y0 < box.y1 < 1 for box in boxes)
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])
    assert any(text.endswith("higher is better. Other images.") for text in words(figure))


def test_compare_of_one_run():
    assert "1.000" in words(plots.compare({"x" * 60: {"KL": 1.0}}))


@pytest.mark.parametrize("channels", [1, 3])
def test_animated_gif(channels, tmp_path):
    frames = np.linspace(0, 1, 5)[:, None, None, None] * np.ones((5, channels, 4, 6))
    path = plots.animated_gif(frames, tmp_path / "walk.gif", scale=3, fps=10)
    with Image.open(path) as gif:
        assert (
            gif.size,
            len(list(ImageSequence.Iterator(gif))),
            gif.info["loop"],
            gif.info["duration"],
        ) == (
            (18, 12),
            8,
            0,
            100,
        )
        levels = []
        for frame in range(8):
            gif.seek(frame)
            levels.append(gif.convert("L").getpixel((9, 6)))
    np.testing.assert_allclose(
        np.array(levels) / 255, [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25], atol=0.01
    )


def test_animated_gif_of_one_frame_or_none(tmp_path):
    with Image.open(plots.animated_gif(np.zeros((1, 1, 4, 4)), tmp_path / "one.gif")) as gif:
        assert gif.size == (32, 32)
    with pytest.raises(OptionError, match="at least one frame"):
        plots.animated_gif(np.zeros((0, 1, 4, 4)), tmp_path / "none.gif")
    assert not (tmp_path / "none.gif").exists()


def test_a_name_in_a_script_that_the_font_lacks_is_drawn_quietly():
    figure = plots.latent_map([[0.0, 0.0], [1.0, 1.0]], [0, 1], ["お", "き"])
    assert png_bytes(figure)
    assert "お" in svg_text(figure)


def test_figures_are_of_whole_device_pixels():
    for figure in (
        plots.samples(np.zeros((5, 1, 28, 28))),
        plots.manifold(np.zeros((1, 1, 1, 9, 9)), [0.0]),
    ):
        size = figure.get_size_inches() * DPI
        np.testing.assert_allclose(size, np.rint(size), atol=1e-6)
