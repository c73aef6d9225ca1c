"""Train models: engines, the training loop, the choice of settings, ensembles, fine-tuning."""
