import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vaescape.data import Batches
from vaescape.errors import OptionError


def batches(n: int = 10, batch: int = 4, seed: int = 0, **options) -> Batches:
    pixels = torch.arange(n, dtype=torch.uint8)[:, None, None, None].expand(n, 3, 2, 2)
    return Batches(pixels, torch.arange(n), batch=batch, seed=seed, **options)


@settings(deadline=None, max_examples=50)
@given(
    n=st.integers(1, 30),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**40),
    epochs=st.integers(1, 4),
)
def test_every_epoch_sees_every_image_once(n, share, seed, epochs):
    batch = 1 + int(share * (n - 1))
    made = batches(n, batch, seed)
    steps = -(-epochs * n // batch)
    stream = torch.cat([made.at(step).label for step in range(steps)])  # pyright: ignore
    assert len(stream) == steps * batch
    for epoch in stream[: epochs * n].split(n):
        assert epoch.sort().values.tolist() == list(range(n))


def test_a_batch_depends_on_seed_and_step_only():
    forwards = [batches().at(step) for step in range(20)]
    made = batches()
    for step in [19, 0, 7, 7, 3, 18, 1]:
        assert torch.equal(made.at(step).x, forwards[step].x)
        assert torch.equal(made.at(step).label, forwards[step].label)  # pyright: ignore


def test_the_global_generator_is_neither_read_nor_moved():
    torch.manual_seed(1)
    first = batches().rows(5)
    state = torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(batches().rows(5), first)
    torch.set_rng_state(state)
    batches().at(8)
    assert torch.equal(torch.get_rng_state(), state)


def test_seeds_and_epochs_differ():
    orders = {
        tuple(batches(50, 50, seed).rows(step).tolist()) for seed in range(3) for step in range(3)
    }
    assert len(orders) == 9


def test_seed_and_epoch_are_not_merely_added():
    assert batches(50, 50, 0).rows(1).tolist() != batches(50, 50, 1).rows(0).tolist()


def test_pixels_are_exact_and_labels_stay_with_their_images():
    n = 256
    batch = batches(n, n).at(0)
    assert batch.x.dtype == torch.float32
    assert batch.label is not None
    expected = torch.tensor([k / 255 for k in range(n)], dtype=torch.float32)
    assert torch.equal(batch.x[:, 0, 0, 0], expected[batch.label])
    assert batch.x.shape == (n, 3, 2, 2)


@pytest.mark.parametrize("last", [False, True])
def test_memory_format(last):
    x = batches(channels_last=last).at(0).x
    assert x.is_contiguous(memory_format=torch.channels_last) == last
    assert x.is_contiguous() != last


@pytest.mark.parametrize("batch", [0, 11, -3])
def test_an_impossible_batch(batch):
    with pytest.raises(OptionError, match=f"between 1 and 10, the size .* Got {batch}"):
        batches(batch=batch)


def test_an_impossible_seed():
    with pytest.raises(OptionError, match=r"seed must be zero or more\. Got -1"):
        batches(seed=-1)
