"""A trained model on labeled rows: scores with intervals, calibration, slices, and the page of its report."""
