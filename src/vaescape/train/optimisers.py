"""Optimisers by name, and their state as plain tensors."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from vaescape.components import Component
from vaescape.conditions import NOT_NEGATIVE, require

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

FUSED_DEVICES = {"adam": {"cpu", "cuda", "mps"}, "adagrad": {"cpu"}}


class Optimiser(Component, ABC):
    """A rule that turns gradients into steps."""

    kind = "optimiser"

    @abstractmethod
    def build(self, parameters: "Iterable[nn.Parameter]", lr: float) -> "torch.optim.Optimizer":
        """Return the optimiser of these parameters at this learning rate."""

    def fused(self, parameters: "list[nn.Parameter]") -> bool:
        """Return whether one kernel can update all of these parameters, with no host sync."""
        return all(parameter.device.type in FUSED_DEVICES[self.name] for parameter in parameters)


WRAPPED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


@cache
def uncompiled(cls: "type[torch.optim.Optimizer]") -> "Callable[..., torch.optim.Optimizer]":
    """Return an optimiser's class, its methods not wrapped against PyTorch's compiler.

    The wrappers load the compiler, which takes longer than recipe swift does to train.
    """
    import torch

    methods = {name: inspect.unwrap(getattr(cls, name)) for name in WRAPPED}
    return type(cls.__name__, (cls,), methods | {"step": torch.no_grad()(inspect.unwrap(cls.step))})


class Adam(Optimiser, name="adam"):
    """Adam (Kingma & Ba, 2015).

    Args:
        beta1: Decay of the mean of the gradients, per step.
        beta2: Decay of the mean of their squares, per step.
        eps: Added to the root of the second; 1e-7 is what Keras, and so the study, has
            (PyTorch: 1e-8).
    """

    def __init__(self, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-7) -> None:
        require(lambda beta: 0 <= beta < 1, "at least 0 and less than 1", beta1=beta1, beta2=beta2)
        require(lambda value: value > 0, "more than 0", eps=eps)
        self.betas, self.eps = (beta1, beta2), eps

    def build(self, parameters: "Iterable[nn.Parameter]", lr: float) -> "torch.optim.Optimizer":
        """Return Adam of these parameters, fused where the device has the kernel."""
        import torch

        chosen = list(parameters)
        cuda = all(parameter.is_cuda for parameter in chosen)
        return uncompiled(torch.optim.Adam)(
            chosen,
            lr=torch.tensor(lr, device=chosen[0].device) if cuda else lr,
            betas=self.betas,
            eps=self.eps,
            fused=self.fused(chosen),
            capturable=cuda,
        )


class Adagrad(Optimiser, name="adagrad"):
    """Adagrad (Duchi, Hazan & Singer, 2011), with which Kingma & Welling (2014) trained.

    Args:
        eps: Added to the root of the summed squares of the gradients.
        decay: Of the weights, added to their gradients: 1/N is their prior N(0, 1) where the loss
            is a mean over N images.
    """

    def __init__(self, eps: float = 1e-10, decay: float = 0.0) -> None:
        require(lambda value: value > 0, "more than 0", eps=eps)
        require(*NOT_NEGATIVE, decay=decay)
        self.eps, self.decay = eps, decay

    def build(self, parameters: "Iterable[nn.Parameter]", lr: float) -> "torch.optim.Optimizer":
        """Return Adagrad of these parameters, fused where the device has the kernel."""
        import torch

        chosen = list(parameters)
        fused = self.fused(chosen)
        return uncompiled(torch.optim.Adagrad)(
            chosen, lr=lr, eps=self.eps, weight_decay=self.decay, fused=fused
        )


def capturable(optimiser: "torch.optim.Optimizer") -> bool:
    """Return whether a CUDA graph can hold its step: then it keeps its rate on the device."""
    return all(group.get("capturable") for group in optimiser.param_groups)


def set_rate(optimiser: "torch.optim.Optimizer", rate: float) -> None:
    """Set the learning rate, in place where it lives on the device."""
    from torch import Tensor

    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def state_of(optimiser: "torch.optim.Optimizer") -> "dict[str, Tensor]":
    """Return the tensors that an optimiser remembers, as ``<parameter number>.<name>``."""
    from torch import Tensor

    return {
        f"{number}.{name}": value
        for number, parameter in enumerate(_parameters(optimiser))
        for name, value in optimiser.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def restore_state(optimiser: "torch.optim.Optimizer", saved: "dict[str, Tensor]") -> None:
    """Give an optimiser back what it remembered; its learning rate and other settings stay its own.

    A tensor of its parameter's shape also takes its parameter's memory layout: fused kernels walk
    both side by side.
    """
    import torch

    parameters = _parameters(optimiser)
    state: dict[int, dict[str, Any]] = {}
    for key, value in saved.items():
        number, name = key.split(".", 1)
        like = parameters[int(number)]
        twin = name != "step" and value.shape == like.shape
        state.setdefault(int(number), {})[name] = (
            torch.empty_like(like, requires_grad=False).copy_(value) if twin else value
        )
    settings = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": settings})


def _parameters(optimiser: "torch.optim.Optimizer") -> "list[nn.Parameter]":
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]
