"""What stands behind the passdb oauth2: asking servers about tokens, and verifying JWTs by ourselves.

``remote`` asks; ``local`` verifies and judges the claims (``token`` takes a JWT apart, ``keys`` finds its key in a
dict, ``signatures`` is the door to PyJWT); ``members`` and ``rules`` are common to both.
"""
