"""Jobs: their rows in the index, and the handle of a job that runs in this process."""
