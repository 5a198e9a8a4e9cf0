"""The local tools: what a team uses while it writes and tests a handler. The runtime never imports it."""
