"""Puts the edge agent together, top to bottom in the order data flows."""
