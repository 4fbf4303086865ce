"""The models of a server: their versions, the states of these, and labels."""
