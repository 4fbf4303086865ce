"""What tests share: paths, small models and data, servers that stand for others. Imports no test."""
