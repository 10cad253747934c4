"""One HTML page, complete in itself, that shows what models found and how they compare."""
