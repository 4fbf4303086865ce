"""Which pretrained encoders there are: names, handles, and the sources of their files."""
