"""The models of a server: versions that come and go, their states and labels."""
