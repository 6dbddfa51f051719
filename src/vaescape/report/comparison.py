"""Several runs side by side: the settings that differ, and the numbers."""

from typing import Any

from vaescape.errors import RunError
from vaescape.quantities import Quantity, headline, quantities_of
from vaescape.runs import METRICS, RUN, RunFolder


def comparison(folders: list[RunFolder]) -> dict[str, dict[str, Any]]:
    """Return, by run, the settings that differ between the runs and the headline numbers."""
    found = {str(folder): settings(folder) for folder in folders}
    keys = list(next(iter(found.values())))
    differing = [k for k in keys if len({str(s.get(k)) for s in found.values()}) > 1]
    return {
        str(folder): {key: found[str(folder)].get(key) for key in differing} | _numbers(folder)
        for folder in folders
    }


def settings(folder: RunFolder) -> dict[str, Any]:
    """Return the settings of a run by name.

    Raises:
        RunError: If its configuration is damaged.
    """
    c = folder.configuration
    try:
        whole = {"validation images": c["validation"], "limit": c["limit"]}
        return {"recipe": c["recipe"], "data": c["data"], **c["parts"], **c["train"], **whole}
    except (KeyError, TypeError) as error:
        raise RunError(
            f"The configuration in {folder / RUN} is damaged: {error}. Restore it from a copy."
        ) from error


def _numbers(folder: RunFolder) -> dict[str, Any]:
    metrics = folder.metrics if (folder / METRICS).exists() else {"test": {}}
    test, quantities = metrics["test"], quantities_of(metrics)
    found = {each.name: test[each.name] for each in headline(test, quantities)}
    accuracy = metrics.get("captures", {}).get("knn_accuracy", {})
    seconds = metrics.get("training", {}).get("seconds")
    return found | {
        key: value
        for key, value in (("knn_accuracy", accuracy.get("estimate")), ("seconds", seconds))
        if value is not None
    }


def other_images(folders: list[RunFolder]) -> str:
    """Return a sentence if the runs were not measured on the same images; else nothing."""
    sets = {
        str((record.get("data_sha256"), config.get("data"), config.get("limit")))
        for record in (folder.record for folder in folders)
        for config in [record["configuration"]]
    }
    return OTHER_IMAGES if len(sets) > 1 else ""


OTHER_IMAGES = "These runs were measured on different images: their numbers do not compare."


def quantities_in(folders: list[RunFolder]) -> dict[str, Quantity]:
    """Return the quantities of several runs, those that their likelihoods brought among them."""
    found = [folder.metrics for folder in folders if (folder / METRICS).exists()]
    return {name: each for metrics in found for name, each in quantities_of(metrics).items()}
