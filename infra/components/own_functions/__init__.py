"""The stack's own small functions: source in `opsctl/functions/`, taken as files and never imported."""
