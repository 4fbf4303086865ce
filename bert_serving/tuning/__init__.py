"""Several runs of one run file: with other seeds, or with other values of its keys."""
