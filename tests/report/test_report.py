"""The report: sealed, whole, readable, and indifferent to what names contain."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_parts import HISTORY, METRICS, RUN

from vaescape import plots
from vaescape.errors import OptionError
from vaescape.report import build_report
from vaescape.report.page import WHAT_A_VAE_DOES
from vaescape.report.tables import number, words

HOSTILE = "</script><img src=x onerror=alert(1)>"
VOID = {"meta", "img", "source", "br"}


class Page(HTMLParser):
    """What a browser would see: elements with attributes, text, and what was not closed."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.text, self.open, self.unclosed = [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unclosed.append(tag)

    def handle_data(self, data):
        self.text.append(data)

    def all(self, *tags):
        return [attributes for tag, attributes in self.elements if tag in tags]


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(60, 2)), np.arange(60) % 2
    drawn = {
        "curves": plots.training_curves(HISTORY),
        "map": plots.latent_map(points, labels, [HOSTILE, "b"]),
        "samples": plots.samples(rng.random((4, 1, 8, 8))),
    }
    paths = {name: plots.save_figure(figure, folder / name)[1] for name, figure in drawn.items()}
    frames = np.linspace(0, 1, 4)[:, None, None, None] * np.ones((4, 1, 8, 8))
    paths["animation"] = plots.animated_gif(frames, folder / "walk.gif")
    paths["another_one"] = folder / "samples.png"
    return paths


@pytest.fixture(scope="module")
def html(figures):
    return build_report(RUN, METRICS, HISTORY, figures)


def test_nothing_outside_the_page_is_asked_for(html):
    page = Page(html)
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            value = attributes.get(name)
            if (tag, name) == ("a", "href"):
                assert value == "explorer.html"  # a person may follow it
            else:
                assert value is None or value.startswith(("data:image/", "#")), (name, value[:60])
    addresses = re.findall(r"url\(([^)]*)\)", html)
    assert addresses
    assert all(address.startswith("#") for address in addresses)
    assert not page.all("script", "link", "iframe", "object", "embed", "foreignobject")
    assert "@import" not in html


def test_the_policy_forbids_the_network(html):
    policies = [m["content"] for m in Page(html).all("meta") if "http-equiv" in m]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_elements_are_closed_and_identifiers_unique(html):
    page = Page(html)
    assert (page.unclosed, page.open) == ([], [])
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert names
    assert len(names) == len(set(names))


def test_references_inside_the_drawings_resolve(html):
    page = Page(html)
    names = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    wanted = set(re.findall(r"url\(#([^)]*)\)", html)) | {
        a["xlink:href"][1:] for a in page.all("use") if "xlink:href" in a
    }
    assert wanted
    assert wanted <= names


def test_hostile_names_come_out_as_text(figures):
    run = {**RUN, "name": HOSTILE, "command": HOSTILE, "specs": {HOSTILE: HOSTILE}}
    metrics = {**METRICS, "captures": {HOSTILE: {"estimate": 1.0}}, "units": {"kl": HOSTILE}}
    page = Page(build_report(run, metrics, HISTORY, {**figures, HOSTILE: figures["samples"]}))
    assert "".join(page.text).count(HOSTILE) >= 6
    assert not page.all("script")
    assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]
    assert all(image["src"].startswith("data:") for image in page.all("img"))


def test_names_that_are_not_valid_text_can_be_written():
    assert build_report({"name": "caf\udce9"}, {}, [], {}).encode()


def test_drawings_follow_the_theme(html):
    assert "prefers-color-scheme: dark" in html
    drawings = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert "var(--ink)" in drawings
    assert "#1b2026" not in drawings


def test_the_first_screen_is_what_it_is_then_a_verdict_the_explorer_and_the_map(html):
    first = html[: html.index("<details")]
    order = [
        "A variational autoencoder trained on fashion-mnist",
        "Reconstructions keep the main features and lose detail:",
        "explain 64.4\u00a0% of the pixel variance (mean squared error 0.0308",
        "Classes are partly separated:",
        "No sign of overfitting:",
        '<a class="open" href="explorer.html">',
        "<svg",
        '<dl class="tiles">',
    ]
    places = [first.index(text) for text in order]
    assert places == sorted(places)
    for number_ in ("268.1", "260.9", "7.20", "0.0308", "5 min 40"):
        assert number_ in first
    assert first.count("<svg") == 1


def test_without_an_explorer_there_is_no_link(figures):
    html = build_report({**RUN, "explorer": ""}, METRICS, HISTORY, figures)
    assert not Page(html).all("a")


def test_a_run_that_is_not_evaluated_says_so(figures):
    html = build_report(RUN, {"training": {"seconds": 3.0}}, HISTORY, figures)
    assert "This run is not evaluated yet." in html
    assert "not evaluated" not in build_report(RUN, METRICS, HISTORY, figures)


def test_the_rest_is_in_chapters_that_unfold(html):
    chapters = re.findall(r'<details class="chapter"><summary><h2>(.*?)</h2>', html)
    assert chapters == [
        *("Samples", "Interpolations", "Training", "More figures"),
        *("All numbers", "How to reproduce this run"),
    ]
    assert html.rindex("</details>") > html.rindex("</table>")


def test_the_report_and_the_readme_begin_with_what_a_vae_does(html):
    start = " ".join("".join(Page(html).text).split())
    assert start.index(WHAT_A_VAE_DOES) < start.index("Reconstructions") < start.index("268.1")
    readme = " ".join((Path(__file__).parents[2] / "README.md").read_text("utf-8").split())
    assert readme.index(WHAT_A_VAE_DOES) < readme.index("Set up and run")


def test_it_says_when_there_is_no_encoder():
    for posterior, said in (("gaussian", False), ("bayes(points=64)", True)):
        page = build_report({**RUN, "specs": {"posterior": posterior}}, METRICS, [], {})
        assert ("This model has no encoder" in page) == said


def test_a_plain_autoencoder_is_not_called_a_vae():
    html = build_report(RUN, {"test": {"mse": 0.03}}, [], {})
    assert "An autoencoder" in html
    assert "variational" not in html


def test_pictures_come_in_a_persons_order_and_unknown_ones_last(html):
    titles = (
        "Samples from the prior",
        "A walk through the classes",
        "Learning curves",
        "Another one",
    )
    places = [html.index(f"<h3>{title}</h3>") for title in titles]
    assert places == sorted(places)


def test_every_picture_says_what_it_shows(html):
    page = Page(html)
    assert all(image["alt"] for image in page.all("img"))
    names = [(svg["role"], svg["aria-label"]) for svg in page.all("svg")]
    assert len(names) == 3
    assert {role for role, _ in names} == {"img"}
    assert ("img", "Scatter plot of the encoded test images, coloured by class.") in names
    assert len(set(names)) == 3


def test_an_animation_stands_still_for_those_who_ask(html):
    (source,) = Page(html).all("source")
    assert source["media"] == "(prefers-reduced-motion: reduce)"
    assert source["srcset"].startswith("data:image/png;base64,")


def test_tables_have_headers_and_values(html):
    text = "".join(Page(html).text)
    assert re.search(r"k-NN accuracy\s*5\s*0.743\s*\[0.734, 0.752\]", text)
    assert "1.50 [1.40, 1.60]" in text
    assert "Path over chord." in text
    assert "Where data are." not in text  # the table has no such column
    assert "0.001" in text
    assert "elbo(beta=1)" in text
    assert "vaescape run paper --seed 0" in text
    assert {a.get("scope") for a in Page(html).all("th")} == {"row", "col"}


def test_cross_entropy_is_never_called_a_likelihood(html):
    text = "".join(Page(html).text)
    assert "negative log-likelihood" not in text.lower()
    assert "a sum that is not a likelihood" in text


@pytest.mark.parametrize(
    ("term", "named"),
    [("dissimilarity", True), ("negative_log_likelihood", False)],
)
def test_what_bounds_of_a_score_are_is_said(term: str, named: bool):
    bounds = {"100": {"images": 5, "nats": 240.0, "effective_samples": 3.0, "pool": 1}}
    test = {"negative_elbo": 250.0, "kl": 10.0, "importance_weighted_bound": bounds}
    html = build_report({}, {"reconstruction_term": term, "test": test}, [], {})
    text = "".join(Page(html).text)
    said = "With structural dissimilarity on grey pixels these are bounds on a sum"
    assert (said in text) == named


def test_a_density_is_called_by_its_name():
    test = {"negative_elbo": -900.0, "negative_log_likelihood": -910.0, "kl": 10.0}
    html = build_report(
        {}, {"reconstruction_term": "negative_log_likelihood", "test": test}, [], {}
    )
    text = "".join(Page(html).text)
    assert "negative log-likelihood" in text
    assert "cross-entropy" not in text
    assert "−910.0" in text


@pytest.mark.parametrize("metrics", [{}, {"test": {"mse": 0.02}}, {"training": {"seconds": 3.0}}])
def test_what_is_missing_is_left_out(metrics):
    page = Page(build_report({}, metrics, [], {}))
    text = "".join(page.text)
    assert page.unclosed == []
    assert "None" not in text
    assert "nan" not in text
    assert ("An autoencoder" in text) == ("test" in metrics)


def test_a_figure_of_another_type_is_refused(tmp_path):
    with pytest.raises(OptionError, match=r"got map\.pdf"):
        build_report({}, {}, [], {"map": tmp_path / "map.pdf"})


def test_the_same_run_gives_the_same_report(figures, html):
    assert build_report(RUN, METRICS, HISTORY, figures) == html


def test_long_logs_are_thinned_and_end_with_the_last_row(html):
    rows = re.findall(r"<tr>", html[html.index("Training in numbers") :])
    assert len(rows) < 40
    assert '<th scope="row">49.0</th>' in html


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        ("", "–"),
        (True, "yes"),
        (10000, "10,000"),
        (268.13, "268.1"),
        (-3.14159, "−3.14"),
        (0.0308, "0.0308"),
        (1e-7, "< 0.0001"),
        (0.0, "0"),
        (float("nan"), "not finite"),
        ([1.0, 2.0], "1.00, 2.00"),
        (list(range(40)), ", ".join(map(str, range(32))) + ", … (40 in all)"),
        ({"estimate": 1.0, "low": 0.5, "high": 2.0}, "1.00 [0.500, 2.00]"),
    ],
)
def test_numbers_as_text(value, text):
    assert number(value) == text


def test_names_as_words():
    assert words("negative_elbo") == "negative ELBO"
    assert words("knn_accuracy") == "k-NN accuracy"
    assert words("memory_gib") == "memory GiB"
