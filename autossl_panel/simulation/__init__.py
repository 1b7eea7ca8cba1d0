"""What time will bring, played through: a CA that enforces what it publishes, against which the ledger is held."""
