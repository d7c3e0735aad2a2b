"""Small pure helpers that know nothing of mail: sets of ranges, secrets."""
