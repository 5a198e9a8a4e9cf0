"""The stores behind the emulator: their contract, the one in memory, the secrets file, a cache."""
