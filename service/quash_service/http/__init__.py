"""The HTTP face: one file per group of routes, plus callers, forms, problems and the edge."""
