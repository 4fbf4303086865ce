"""The page of `bert-serving report`."""
