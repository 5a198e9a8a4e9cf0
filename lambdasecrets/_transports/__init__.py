"""How requests travel to a server on this machine."""
