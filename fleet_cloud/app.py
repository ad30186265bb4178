"""Puts the fleet cloud together, top to bottom in the order data flows."""
