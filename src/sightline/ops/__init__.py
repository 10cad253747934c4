"""What the operations are: plain definitions. Fast twins of the same names lie in `kernels`."""
