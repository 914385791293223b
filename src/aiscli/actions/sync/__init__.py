"""`sync`: a plan out of two listings, then its execution."""
