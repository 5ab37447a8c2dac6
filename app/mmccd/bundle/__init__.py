"""Bundles: cards and weights, presets, calibrations."""
