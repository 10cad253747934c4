"""One file a paper, top to bottom like the paper."""
