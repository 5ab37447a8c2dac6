"""Networks, noise schedule and sampler, noise, device and precision."""
