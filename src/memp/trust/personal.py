"""Personal data by its form, checked by its check digits where it has some.

Internet addresses are left alone: an agent needs them to work, and they name machines rather than people.
"""

import re
from collections.abc import Iterator

_EMAIL = re.compile(
    r"(?<![\w.+%/=-])[A-Za-z0-9][\w.+%-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,5}([A-Za-z]{2,18})(?![\w@]|-\w)"
)
_NO_DOMAIN = re.compile(
    r"png|jpe?g|gif|svg|webp|ico|py|[jt]sx?|css|md|json|ya?ml|toml|txt|html|sh|rs|go|java|lock"
    r"|local|internal|lan|localdomain|service|target|timer|socket"
)
"""Endings of files and of names within a network: no mail goes there."""
_WORLD_PHONE = re.compile(
    r"(?<![\w+.-])(?:\+|00(?=[1-9]\d?[ ./-]))[1-9]\d{0,2}(?:[ ./-]{0,2}\(?\d{1,5}\)?){2,6}(?![\w/]|[.-]\d)"
)
_PHONE = re.compile(
    r"(?i)\b(?:phone|telephone|tel|mobile|cell|call|fax|whatsapp|ring|text|sms)\b"
    r"(?:[ \t]*(?:me|us|him|her|them|no|number|at|on|is|to)){0,3}[ \t]{0,3}[.:#=]?[ \t]{0,3}[\"']?"
    r"(\(?\d{2,5}\)?(?:[ ./-]{0,2}\(?\d{2,5}\)?){1,5})(?![\w/]|[.-]\d)"
)
_CARD = re.compile(r"(?<![\w.-])(?:\d[ -]?){12,18}\d(?![\w-]|\.\d)")
_CARD_BEGINS = re.compile(r"4|5[1-5]|2[2-7]|3[47]|3[0689]|6(?:011|4[4-9]|5)|35")
_CARD_FORM = re.compile(r"\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{4,5}")
_IBAN = re.compile(r"(?<![\w-])[A-Z]{2}\d{2}(?:[A-Z0-9]{11,30}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?)(?![\w-])")
_SSN = re.compile(r"(?<![\w.-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-]|\.\d)")


def personal_data(text: str) -> Iterator[tuple[int, int, str]]:
    """Mail addresses, telephone, card and account numbers in `text`: (start, end, kind).

    A national telephone number counts where it is called one (`call (619) 555-0134`): a table of businesses holds
    many that are nobody's own.
    """
    if "@" in text:
        for found in _EMAIL.finditer(text):
            mailbox = found[0].partition("@")[0].lower()
            if not _NO_DOMAIN.fullmatch(found[1].lower()) and mailbox not in ("git", "noreply", "no-reply"):
                yield *found.span(), "email"
    for found in _CARD.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        if _CARD_FORM.fullmatch(found[0]) and _CARD_BEGINS.match(digits) and _luhn(digits):
            yield *found.span(), "card number"
    for found in _IBAN.finditer(text):
        if _iban(found[0].replace(" ", "")):
            yield *found.span(), "bank account"
    yield from ((*found.span(), "social security number") for found in _SSN.finditer(text))
    for found in _WORLD_PHONE.finditer(text):
        if 9 <= sum(c.isdigit() for c in found[0]) <= 15:
            yield *found.span(), "phone number"
    for found in _PHONE.finditer(text):
        if _phone(found[1]):
            yield *found.span(1), "phone number"


def _phone(number: str) -> bool:
    """Whether a number is as long as one of a telephone; one without any mark in it could be anything shorter."""
    return 10 <= len(number) <= 12 if number.isdigit() else 7 <= sum(c.isdigit() for c in number) <= 13


def _luhn(digits: str) -> bool:
    """The check digit of card numbers."""
    if len(set(digits)) < 2:
        return False
    doubled = [int(d) * 2 for d in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(d - 9 if d > 9 else d for d in doubled)) % 10 == 0


def _iban(account: str) -> bool:
    """The check digits of international bank account numbers (ISO 13616)."""
    if not 15 <= len(account) <= 34:
        return False
    moved = account[4:] + account[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1
