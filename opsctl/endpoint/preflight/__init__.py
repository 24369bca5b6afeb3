"""What is checked before a cent is spent on a model endpoint: facts are observed, then judged by pure functions."""
