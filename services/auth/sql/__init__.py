"""The sql databases: queries with bound parameters (``statement``), the engines they run on (``sqlite``, ``pgsql``,
opened by ``engines``), and what rows mean (``rows``).
"""
