"""Many inputs: find them, run each once, on one machine or several, and keep the account."""
