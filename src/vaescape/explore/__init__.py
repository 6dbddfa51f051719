"""The explorer: a study's latent space in one HTML page, from disk or live."""
