"""What would stop a deployment, found before a cent is spent: facts are asked for, then judged; each has a fix."""
