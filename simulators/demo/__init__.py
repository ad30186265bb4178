"""The `fairway` command: the whole platform on one machine.

cli       the command line
stage     the folder, the cloud, the agents: real programs as children
traffic   the simulated vehicles, in this process
campaign  what is collected when something happens
update    a release on its way into the vehicles
watch     what the cloud tells while it runs
summary   what came of it
"""
