"""Mail stores behind one interface.

``api.py`` is the boundary (what every store promises), ``backends`` the stores (``memory``, ``sqlite``, and those of
third parties by entry point ``roost.backends``), ``simple`` a base that makes a store out of ``load`` and ``commit``,
``search.py`` SEARCH for all of them, ``blocking.py`` a wrapper for stores that block. A new store proves itself with
``roost.testing.backend``.
"""
