"""A package of several handlers: what they need is declared once, in `orders.needs`."""
