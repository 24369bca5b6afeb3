"""A command inside what serves, wherever that is; in- and output are the operator's own."""
