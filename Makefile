LOCK_EXTRAS = --extra service --extra infra --extra ops --extra local --extra dev
