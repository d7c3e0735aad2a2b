"""Salts as text in the alphabet of crypt(3)."""

from __future__ import annotations

from services.auth.schemes.base import Entropy

ALPHABET = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def salt_text(entropy: Entropy, chars: int) -> bytes:
    """``chars`` characters of salt, 6 bits of entropy each."""
    return bytes(ALPHABET[octet & 63] for octet in entropy(chars))
