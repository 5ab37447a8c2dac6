"""From score maps to the map: smoothing, segmentation, components, percentiles."""
