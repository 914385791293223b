"""Objects from one store to another: what is to be copied, one object, and the run."""
