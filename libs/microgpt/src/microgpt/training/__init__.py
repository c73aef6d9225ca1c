"""Training loop, engines, choice of settings, time limits, fine-tuning and distillation."""
