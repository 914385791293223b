"""What the loader measures and how it tells: histograms, failures, intervals, reports, result files."""
