"""A trained model on labelled rows: scores with intervals, calibration, slices, and the page of its report."""
