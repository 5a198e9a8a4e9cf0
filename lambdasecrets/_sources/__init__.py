"""Where raw values come from: the server on this machine, or AWS itself."""
