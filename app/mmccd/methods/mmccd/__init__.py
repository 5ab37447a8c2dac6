"""The masked cycle (Alg. 2)."""
