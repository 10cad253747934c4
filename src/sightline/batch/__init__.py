"""Many images: where they come from, and where the answers go."""
