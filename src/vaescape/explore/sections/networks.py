"""The networks that the page runs, and what it compares with them when it starts."""

import torch

from vaescape.explore import blobs
from vaescape.explore.view import Section, View
from vaescape.export.onnx import TOLERANCE, networks
from vaescape.export.training import trainable
from vaescape.generation import draw_codes

SELFTEST = 16
PRIOR_DRAWS = 2000
ENOUGH = 100
"""Test images at least for a training in the page: a tenth is held out."""


WORTH_SHARING = 4096
"""Bytes of a weight."""


def carried(view: View) -> Section:
    """Return encoder and decoder, if they travel with the page.

    An encoder by Bayes' rule has the decoder in it: what both have travels once.
    """
    made = networks(view.study, half=True) if view.carry else []
    content = {each.name: each.content for each in made}
    found = {
        name: blobs.file(each, "application/onnx", compress=True, planes=2)
        for name, each in content.items()
    }
    if runs := _shared(content.get("encoder", b""), content.get("decoder", b"")):
        found["encoder"] = found["encoder"].without(runs)
    return {}, found


def _shared(encoder: bytes, decoder: bytes) -> list[tuple[int, int, int]]:
    """Return where weights of the decoder are in the encoder, where in the decoder, and lengths."""
    import onnx

    runs: list[tuple[int, int, int]] = []
    weights = {each.raw_data for each in onnx.load_from_string(decoder).graph.initializer}
    known = [raw for raw in weights if len(raw) >= WORTH_SHARING and raw in encoder]
    for run in sorted((encoder.find(raw), decoder.find(raw), len(raw)) for raw in known):
        if not runs or run[0] >= runs[-1][0] + runs[-1][2]:
            runs.append(run)
    return runs


def training(view: View) -> Section:
    """Return a training that the page can do by itself, with the images that it carries."""
    pictured = len(view.test) >= ENOUGH and view.originals != "none"
    found = trainable(view.study) if view.carry and pictured else None
    if found is None:
        return {"trainable": None}, {}
    return {"trainable": found.about}, {
        f"train_{name}": blobs.file(content, "application/onnx", compress=True)
        for name, content in found.graphs.items()
    }


def selftest(view: View) -> Section:
    """Return codes across the set, and what PyTorch decodes them to, to compare with."""
    study, codes = view.study, view.codes
    chosen = torch.linspace(0, len(codes.mean) - 1, SELFTEST).long()
    z = codes.mean[chosen]
    c = study.classes.weights(codes.label[chosen] if study.space.conditions else None)
    given = {"z": z} | ({"c": c} if study.space.conditions else {})
    found = {f"selftest_{name}": blobs.array(v.numpy(), "f32") for name, v in given.items()}
    found["selftest_x"] = blobs.alike(study.decode(z, c).numpy(), "u16")
    return {"selftest": {"count": SELFTEST, "tolerance": TOLERANCE}}, found


def prior_samples(view: View) -> Section:
    """Return draws of a prior that the page cannot draw from itself."""
    if not view.study.space.probabilistic or view.standard_normal:
        return {}, {}
    return {}, {
        "prior_samples": blobs.array(draw_codes(view.study.space, PRIOR_DRAWS).numpy(), "f32")
    }
