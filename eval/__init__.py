"""Held-out evaluation: `python -m eval MODEL [--on FILE…]`."""
