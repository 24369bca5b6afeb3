"""What the processes that are killed in tests start with: everything is imported and the clients are made."""

from tests.e2e.endpoint.lab import clients, s3

clients()
s3()
