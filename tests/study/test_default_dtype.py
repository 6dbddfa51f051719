"""What the caller made PyTorch's default type changes no number."""

import pytest
import torch

from vaescape import pipeline
from vaescape.runs import WEIGHTS

OPTIONS = {
    "limit": 60,
    "batch": 20,
    "epochs": 1,
    "threads": 1,
    "network": "mlp(layers=1, hidden=4)",
}


@pytest.mark.parametrize("posterior", ["gaussian", "full-rank"])
def test_a_default_of_float64_changes_no_bit(tmp_path, posterior):
    weights, numbers = [], []
    for dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
        try:
            root = tmp_path / str(dtype)
            study = pipeline.run(
                "first-look", root=root, stages=("train",), posterior=posterior, **OPTIONS
            )
            assert study.folder is not None
            metrics = pipeline.measure(study.folder, study, None, bounds=((2, 9),), paths=5)
            assert torch.get_default_dtype() == dtype
        finally:
            torch.set_default_dtype(torch.float32)
        weights.append((study.folder / WEIGHTS).read_bytes())
        numbers.append({k: v for k, v in metrics.items() if k != "training"})
    assert weights[0] == weights[1]
    assert numbers[0] == numbers[1]
