"""Fast twins of the definitions in `ops`: same names, same results."""
