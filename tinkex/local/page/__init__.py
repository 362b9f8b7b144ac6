"""The pages that a browser shows: the runs, one run, several runs side by side."""
