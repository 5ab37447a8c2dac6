"""Results as a BIDS derivative data set."""
