"""A decoder trained by numerical integration, as continuous mixtures are (Correia et al. 2023)."""

import math

import torch
from torch.nn import functional as F

from vaescape.components import construct
from vaescape.study import Study


def integrate(study: Study, points: int) -> None:
    """Train a study's decoder to maximise log mean_i p(x | z_i), and leave it in the study.

    The z_i are a Sobol sequence, moved by the same random amount in every step (a randomised
    quasi-Monte-Carlo rule) and taken through the quantiles of the prior N(0, I); every step
    decodes all of them, and the gradient passes through all. Everything else is the recipe's:
    batch, optimiser, schedule, epochs and precision.

    Source: Correia, Gala, Quaeghebeur, de Campos & Peharz (2023), Continuous mixtures of tractable
    probabilistic models, AAAI (arXiv 2209.10584).
    """
    options, model = study.configuration.resolved().train, study.model
    decoder, pixels = model.likelihood, study.train.pixels
    parameters = list(decoder.parameters())
    optimiser = construct("optimiser", options.optimiser).build(parameters, options.lr)
    schedule = construct("schedule", options.schedule)
    dice = torch.Generator().manual_seed(options.seed)
    sobol = torch.quasirandom.SobolEngine(study.model.posterior.head.size).draw(points)
    steps = round(options.epochs * len(pixels) / options.batch)
    model.train()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = options.lr * schedule((step + 0.5) / steps)
        x = pixels[torch.randint(len(pixels), (options.batch,), generator=dice)].float() / 255
        u = (sobol + torch.rand(sobol.shape[1], generator=dice)) % 1
        z = torch.special.ndtri(u.clamp(1e-6, 1 - 1e-6))
        with options.arithmetic(x.device):
            raw = decoder.raw(z)
        a, b = decoder.head(raw.float()).product()
        log_p = F.linear(x.flatten(1), a, b).logsumexp(1) - math.log(points)
        optimiser.zero_grad()
        (-log_p.mean()).backward()
        optimiser.step()
    model.eval()
