"""What the training configs of the bundles use."""
