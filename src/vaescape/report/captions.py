"""What the report says about each figure, in the order in which it shows them."""

from typing import NamedTuple


class Words(NamedTuple):
    """The words around one figure."""

    title: str
    caption: str
    alt: str


FIGURES = {
    "map": Words(
        "Where the images are",
        "Every test image at its code (z_mean, where the posterior is a Gaussian), coloured by "
        "its class, the class named at its medoid. Images that lie close are decoded to much the "
        "same picture; where colours mix, the latent space does not tell those classes apart. A "
        "second panel, where there is one, has the log-variances of the same images; further "
        "left and down, the encoder is surer of the place.",
        "Scatter plots of the encoded test images by class: codes, and any log-variances.",
    ),
    "manifold": Words(
        "What each place decodes to",
        "A grid of places decoded; z is on the axes, and the second coordinate grows "
        "upwards. Where the axes are stretched towards their ends, the steps are even in "
        "probability under the prior (the inverse Gaussian CDF): every cell stands for an "
        "equal share of what the prior would draw.",
        "A grid of decoded images covering the latent plane.",
    ),
    "manifold_map": Words(
        "Places and images together",
        "Decoded places, dimmed, with the encoded test images over them where they belong. "
        "Where there are no points, no test image is encoded: what the decoder shows there "
        "it made up.",
        "The decoded grid with the encoded test images drawn over it, coloured by class.",
    ),
    "samples": Words(
        "Drawing from the prior",
        "Places drawn from the prior and decoded. These are the decoder's means: smoother "
        "than data, as the pixel noise of the likelihood is left out.",
        "A grid of images decoded from random places of the prior.",
    ),
    "classes": Words(
        "Asking for a class",
        "Each row was asked for one class; each column draws z once, with the same noise for "
        "every class. What a column shares is what z holds besides the class.",
        "A grid of decoded images: rows are classes, columns are styles.",
    ),
    "draws": Words(
        "Drawing pixels too",
        "As above, with each pixel drawn from the likelihood. This is what the model says "
        "data look like.",
        "A grid of images whose pixels are drawn from the likelihood.",
    ),
    "codes": Words(
        "What each code decodes to",
        "The discrete codes decoded, the most used first; before each row, the share of test "
        "images that have one of its codes. With several positions, each row changes the code of "
        "one and leaves the others at their most frequent.",
        "A grid of decoded codes, the most used first.",
    ),
    "interpolations": Words(
        "From one image to another",
        "Between two test images, original at each end: along the straight line in latent "
        "space, along the arc, along the path with the least change of the image (the geodesic), "
        "and, to compare, blending the pixels. A smooth latent space changes one thing into "
        "another; a cross-fade shows both at once.",
        "Strips of decoded images that lead from one test image to another.",
    ),
    "interpolation_grid": Words(
        "Four corners",
        "The outlined corners are four encoded test images; everything between is decoded "
        "from blends of their places.",
        "A grid of decoded images between four corners.",
    ),
    "animation": Words(
        "In motion",
        "A walk through latent space, there and back.",
        "An animation of decoded images along a path through latent space.",
    ),
    "traversals": Words(
        "One dimension at a time",
        "Each row moves a single latent coordinate through the values below and leaves the "
        "others where they are. A row that does not change belongs to a dimension that the "
        "model does not use.",
        "Rows of decoded images, one per latent dimension.",
    ),
    "reconstructions": Words(
        "There and back",
        "Test images, what is left of them after encoding and decoding, and the difference:"
        " the best, the median and the worst of the test set by error, so that no luck is "
        "shown as skill.",
        "Originals, reconstructions and their differences: best, median and worst.",
    ),
    "curves": Words(
        "How it learned",
        "The loss and its two terms over the epochs, for images trained on and images held "
        "out. A growing distance between the two lines is overfitting; a dimension whose KL"
        " stays at zero is not used.",
        "Line charts of loss, reconstruction term, KL and KL per dimension over training.",
    ),
    "regions": Words(
        "Which class lives where",
        "Above: the class that most of the nearest images have, fainter where they "
        "disagree, and how much they disagree. Below: for each class (row), the classes of "
        "its nearest neighbours; what its centroid and medoid decode to; and with whom it "
        "mixes.",
        "Class map, neighbour entropy, class-overlap table and decoded class centres.",
    ),
    "kl": Words(
        "How much each dimension is used",
        "The KL divergence that each latent dimension costs, on average over the test "
        "images. Hollow bars, at or under the dashed line, are dimensions that carry next "
        "to nothing.",
        "Bar chart of the KL divergence of each latent dimension.",
    ),
}


def words_for(name: str) -> Words:
    """The words for a figure; for one that is not listed, its name."""
    readable = name.replace("_", " ").replace("-", " ").strip().capitalize()
    return FIGURES.get(name, Words(readable, "", readable))


def in_order(names: list[str]) -> list[str]:
    """Figure names as the report shows them: the listed ones first, in their order."""
    order = list(FIGURES)
    return sorted(
        names, key=lambda name: (order.index(name) if name in order else len(order), name)
    )
