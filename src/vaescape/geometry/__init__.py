"""Shapes in latent space: points in, points out, no model in sight."""
