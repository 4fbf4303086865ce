"""Which words moved a decision, and the page that shows it."""
