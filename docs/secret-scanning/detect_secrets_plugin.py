"""Finds API keys: detect-secrets scan --plugin detect_secrets_plugin.py

Another prefix or environment takes the place of pm_live_. Compact keys have no checksum: for those, return the matches
of the expression as they are.
"""
import re
import zlib

from detect_secrets.plugins.base import RegexBasedDetector

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def is_key(text):
    number, checksum = zlib.crc32(text[:-6].encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        checksum = ALPHABET[digit] + checksum
    return text[-6:] == checksum


class KeywardKeyDetector(RegexBasedDetector):
    """Keys of this shape whose checksum is right."""

    secret_type = "Keyward API Key"
    denylist = [
        re.compile(r"\bpm_(?:live|test)_(?:[0-9A-Za-z]{61}|[0-9A-Za-z]{67})\b"),
    ]

    def analyze_string(self, string):
        return (found for found in super().analyze_string(string) if is_key(found))
