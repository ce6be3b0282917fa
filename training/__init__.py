"""Annotations in, exported model out. `python -m training CONFIG`."""
