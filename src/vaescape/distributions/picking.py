"""One of a batch of distributions, for every draw its own."""

from torch import Tensor


def pick(parameters: Tensor, index: Tensor, event_dims: int) -> Tensor:
    """Return parameters at an index into their last batch dimension.

    Args:
        parameters: (*batch, M, *event).
        index: (*S, *batch), from 0 to M − 1.
        event_dims: How many trailing dimensions of the parameters stay together.

    Returns:
        (*S, *batch, *event).
    """
    tail = parameters.shape[parameters.ndim - event_dims - 1 :]
    rows = index.reshape(*index.shape, *[1] * (event_dims + 1)).expand(*index.shape, 1, *tail[1:])
    return parameters.expand(*index.shape, *tail).gather(index.ndim, rows).squeeze(index.ndim)
