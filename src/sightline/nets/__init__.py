"""Building blocks: backbones, pyramids, and the weights that others published."""
