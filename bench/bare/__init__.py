"""The bare route: what any service on this stack costs at least that does as much."""
