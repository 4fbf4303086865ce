"""What a model server is started with: flags, configuration files, and what they say."""
