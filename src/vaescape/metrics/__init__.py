"""Numbers about reconstructions and latents: arrays in, numbers out, no model in sight."""
