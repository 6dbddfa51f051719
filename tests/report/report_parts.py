"""What a run folder tells its report, in small."""

METRICS = {
    "reconstruction_term": "cross-entropy",
    "units": {"test.mse": "squared pixel"},
    "training": {"seconds": 340.1, "epochs": 20, "steps": 9375},
    "train": {"negative_elbo": 266.1, "cross_entropy": 259.0, "kl": 7.1},
    "test": {
        "images": 10000,
        "negative_elbo": 268.1,
        "cross_entropy": 260.9,
        "kl": 7.2,
        "mse": 0.0308,
        "mean_image_mse": 0.0866,
        "importance_weighted_bound": {"100": {"images": 10000, "nats": 265.12}},
        "kl_per_dimension": [4.1, 3.1],
        "active_units": {"variance": 2, "kl": 2},
        "aggregate_posterior": {"kl_to_prior": 0.8},
    },
    "smoothness": {
        "definitions": {"length_ratio": "Path over chord.", "support": "Where data are."},
        "paths": {
            "pixel cross-fade": {
                "same": {"length_ratio": {"estimate": 1.5, "low": 1.4, "high": 1.6}}
            }
        },
    },
    "captures": {
        "knn_accuracy": {"k": 5, "chance": 0.1, "estimate": 0.743, "low": 0.734, "high": 0.752}
    },
}
RUN = {
    "name": "paper-0",
    "recipe": "paper",
    "data": "fashion-mnist",
    "seed": 0,
    "command": "vaescape run paper --seed 0",
    "specs": {"objective": "elbo(beta=1)"},
    "options": {"learning_rate": 0.001},
    "git": {"clean": True},
    "explorer": "explorer.html",
}
HISTORY = [
    {"epoch": float(e), "train": {"loss": 300.0 - e}, "held_out": {"loss": 301.0 - e}}
    for e in range(50)
]
