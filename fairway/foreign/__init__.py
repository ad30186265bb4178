"""Interfaces of others, generated from proto/fairway/foreign: their names and numbers, under a name of ours.

Their own packages may be installed beside us; only one process cannot load both.
"""
