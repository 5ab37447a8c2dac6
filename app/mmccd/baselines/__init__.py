"""Methods that the masked cycle is measured against: their networks, training batches and scorers."""
