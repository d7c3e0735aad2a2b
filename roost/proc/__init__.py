"""Processes: what a child inherits from the master, its title, privileges, signals and resource facts.

``contract.py`` is the master-child contract; each other file is the only door to one thing of the operating
system or of one package (title → setproctitle, usage → psutil). No asyncio, no thread, no protocol.
"""
