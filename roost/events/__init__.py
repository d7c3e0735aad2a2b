"""What a process tells about itself: log lines (``log.py``), in the form ``docs/protocols/log.md`` describes."""
