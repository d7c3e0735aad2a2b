"""The frame around every room: what a process is from the master's fork to its exit.

``run.py`` is the entry (``main`` under the master, ``standalone`` without one), ``life.py`` the time on the loop,
``service.py`` what a room and the frame give each other, ``listeners.py`` accepting clients, ``openings.py`` what
comes before the room (PROXY header, implicit TLS), ``exclusive.py`` one wake-up a client, ``status.py`` the reports
to the master, ``offload.py`` the threads, ``loop.py`` the door to uvloop. The contract with the master is
``roost/proc/contract.py``.
"""
