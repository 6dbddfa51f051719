"""All combinations only where they are asked for: they take hours."""

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked ``combinations``, unless ``-m`` names it."""
    if "combinations" in str(config.getoption("markexpr")):
        return
    left_out = [item for item in items if item.get_closest_marker("combinations")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
