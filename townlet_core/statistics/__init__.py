"""Statistics of experiments with a few seeds: the seed is the unit."""
