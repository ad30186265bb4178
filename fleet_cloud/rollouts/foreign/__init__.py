"""Clients of others: devices that speak hawkBit's or AWS IoT Jobs' language, and what is assigned to them."""
