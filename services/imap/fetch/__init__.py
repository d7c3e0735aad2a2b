"""FETCH: items to a plan (``plan``), plans to rows of columns (``rows``), sections and whole bodies (``body``)."""
