"""The same function written in different ways, as Lambda would run it."""
