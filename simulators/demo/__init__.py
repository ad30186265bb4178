"""The `fairway` command: the whole platform on one machine.

cli       the command line
stage     the folder, the cloud, the agents: real programs as children
traffic   the simulated vehicles, in this process
watch     what the cloud tells while it runs
summary   what came of it
"""
