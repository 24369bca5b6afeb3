"""Callers' keys and vendors' secrets of a stack: written into its config, encrypted; read where it keeps them."""
