"""Try to break the kernels and the readers of files, with sanitizers, for as long as one likes."""
