"""The parts of the emulator: its HTTP server, and the two servers that it can be."""
