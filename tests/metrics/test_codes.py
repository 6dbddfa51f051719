"""Use of a codebook."""

import math

import pytest
import torch

from vaescape.metrics.codes import code_use, usage


def test_codes_used_alike_have_the_perplexity_of_their_number():
    index = torch.arange(12)[:, None] % 4
    found = code_use(index, 4)
    assert found["perplexity"] == pytest.approx(4)
    assert found["active_codes"] == 4
    assert found["marginal_kl"] == pytest.approx(0, abs=1e-12)


def test_one_code_has_a_perplexity_of_one():
    found = code_use(torch.full((9, 2), 3), 5)
    assert (found["perplexity"], found["active_codes"]) == (1, 1)
    assert found["marginal_kl"] == pytest.approx(2 * math.log(5))


def test_positions_are_counted_by_themselves():
    index = torch.tensor([[0, 2], [1, 2], [0, 2], [0, 2]])
    shares = torch.tensor([[0.75, 0.25, 0], [0, 0, 1]])
    torch.testing.assert_close(usage(index, 3).float(), shares)
    found = code_use(index, 3)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert found["perplexity"] == pytest.approx((math.exp(entropy) + 1) / 2)
    assert found["active_codes"] == 1.5
    assert found["marginal_kl"] == pytest.approx(2 * math.log(3) - entropy)
