"""The bytes that a row binding is made over, for the record in `src/key/canonical/tests.rs`.

Prints their number and their SHA-256, as the test there has them.
"""

import hashlib

NOW, LATER = 1_700_000_000_000_000, 1_700_000_001_000_000


def kind(which):
    return bytes([which])


def number(value):
    return value.to_bytes(8, "big", signed=value < 0)


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return number(len(value)) + value


def some(*parts):
    return kind(1) + b"".join(parts)


def many(parts):
    return number(len(parts)) + b"".join(parts)


NONE = kind(0)


def json(value):
    match value:
        case None:
            return kind(0)
        case bool():
            return kind(2 if value else 1)
        case int():
            return kind(3 if value >= 0 else 4) + number(value)
        case (digits, exponent):
            return kind(5) + kind(0) + text(digits) + number(exponent)
        case str():
            return kind(7) + text(value)
        case list():
            return kind(8) + many([json(item) for item in value])
        case dict():
            return kind(9) + members(value)


def members(value):
    return many([text(name) + json(value[name]) for name in sorted(value)])


def credential(generation, rest):
    digest = "$2b$12$not-a-real-digest-1"
    return number(generation) + text(digest) + kind(0) + rest


record = b"".join(
    [
        text("keyward/record/1"),
        text("0aZ9bY8cX7dW"),
        text("live"),
        text("secret"),
        text("acme"),
        kind(1) + text("t1"),
        text("export"),
        some(text("nächtlich")),
        some(text("pro")),
        some(text("gold"), number(LATER)),
        kind(2) + text("broker") + many([text("a"), text("b:*")]),
        many([text("leads:delete")]),
        some(many([text("10.0.0.0/8"), text("2001:db8::/32")])),
        some(text(bytes([7] * 32))),
        members({"b": [1, -2, ("25", -2), None], "a": {"yes": True, "no": False}}),
        some(text("ticket 7")),
        number(NOW),
        text("user:ana"),
        some(number(LATER)),
        kind(1),
        some(number(LATER), text("user:bob"), text("x")),
        some(number(NOW)),
        number(9),
        credential(
            2,
            some(text("a1B2"))
            + some(text("v=3$" + "A" * 43))
            + some(text("v=3$0badcafe"))
            + number(NOW)
            + kind(2)
            + number(LATER),
        ),
        some(credential(1, NONE + NONE + NONE + number(NOW) + kind(0))),
    ]
)

if __name__ == "__main__":
    print(len(record), hashlib.sha256(record).hexdigest())
