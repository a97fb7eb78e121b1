"""The names of other packages, so that code changes an import line and nothing else."""
