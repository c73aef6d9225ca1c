"""Training loop, engines, presets and fine-tuning."""
