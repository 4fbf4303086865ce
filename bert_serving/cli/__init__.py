"""The `bert-serving` command: one small file per subcommand, the only place that prints."""
