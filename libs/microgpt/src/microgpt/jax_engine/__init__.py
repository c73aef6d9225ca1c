"""Training on the devices that JAX finds: CPUs, GPUs and TPUs."""
