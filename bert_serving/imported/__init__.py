"""Classifiers that were fine-tuned elsewhere: one module for each kind of file, all of them read to a `ConvertedClassifier`."""
