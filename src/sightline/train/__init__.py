"""One training loop for every detector that has a loss."""
