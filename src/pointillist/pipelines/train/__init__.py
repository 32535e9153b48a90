"""From points to a trained denoiser."""
