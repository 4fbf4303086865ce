"""The page of `bert-serving explore`: findings, labels, texts, baselines."""
