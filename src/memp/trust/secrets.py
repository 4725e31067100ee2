"""Secrets by their form: keys of well-known services, tokens, passwords where they are named as such."""

import re
from collections.abc import Iterator

# Where a form begins with a fixed word, that word is looked for first: most texts hold none of them.
_KEYS = re.compile(
    r"(?<![\w-])(?:"
    r"sk-(?:ant-|proj-|svcacct-|admin-|or-v1-)?[A-Za-z0-9_-]{20,}"  # OpenAI, Anthropic, OpenRouter
    r"|(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"  # AWS
    r"|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,}|glpat-[A-Za-z0-9_-]{20,}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{20,}"  # Slack
    r"|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{28}"  # Google
    r"|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9]{24,}"  # Stripe
    r"|hf_[A-Za-z]{30,}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}"
    r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"  # SendGrid, Shopify
    r"|dop_v1_[a-f0-9]{64}|dapi[a-f0-9]{32}|gsk_[A-Za-z0-9]{40,}|xai-[A-Za-z0-9]{60,}|lin_api_[A-Za-z0-9]{30,}"
    r"|\d{8,10}:AA[A-Za-z0-9_-]{33}"  # Telegram
    r")(?![\w-])"
)
_JWT = re.compile(r"(?<![\w-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")
_PRIVATE = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:[\s\S]{0,20000}?"
    r"-----END (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----|[A-Za-z0-9+/=\s\\]{0,20000})"
)
_HEADER = re.compile(
    r"(?i)\b(?:proxy-)?authorization\b[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?:bearer|basic|token)\s{1,3}([\w.~+/=-]{8,})"
    r"|\bbearer\s{1,3}([\w.~+/=-]{20,})"
    r"|\bx-api-key[\"']?\s{0,3}[:=]\s{0,3}[\"']?([\w.~+/=-]{12,})"
)
_MIXED = re.compile(r"\d|[a-z][A-Z]")
_IN_ADDRESS = re.compile(r"\b[a-zA-Z][\w+.-]{1,30}://[^\s/:@\"'<>\[\]{}$]{0,100}:([^\s/@\"'<>\[\]{}$]{3,200})@")
_HOOK = re.compile(r"https://hooks\.slack\.com/(?:services|workflows)/([A-Za-z0-9/_-]{20,})")
_ASSIGNED = re.compile(
    r"(?i)(?<![A-Za-z])(?P<what>pass(?:word|wd|phrase|code)|pwd|"
    r"(?:secret|private|access|account|api|auth|encryption|signing)[_ -]?(?:access[_ -]?)?key"
    r"|(?:client|app|api)[_ -]?secret|secret"
    r"|(?:access|auth|api|bearer|refresh|session|bot)[_ -]?token)[\"']?(?:\s{0,3}(?P<sign>=>|:=|=|:)\s{0,3}| is )"
    r"(?:\"(?P<double>[^\"\s]{4,200})\"|'(?P<single>[^'\s]{4,200})'"
    r"|(?P<bare>[^\s\"',;<>(){}\[\]$%*`|&]{6,200})(?![\w(\[{.]))"
)
_PLAIN_WORDS = re.compile(
    r"(?i)(?:your|my|the|some|an?|test|example|changeme|change|dummy|fake|sample|placeholder|redacted|hidden|none|null|"
    r"true|false|undefined|required|optional|string|secret|password|passwd|token|key|api|x{3,}|\.{3}|env|os|process|"
    r"config|settings|self|args|getenv|here|value)(?:[\W_](?!.*\d).*|here)?$"
)
_LEGIBLE = re.compile(r"[A-Za-z_.:/-]+")


def secrets(text: str) -> Iterator[tuple[int, int, str]]:
    """Keys, tokens, private keys and passwords in `text`: (start, end, kind)."""
    if "PRIVATE KEY" in text:
        yield from ((found.start(), found.end(), "private key") for found in _PRIVATE.finditer(text))
    yield from ((found.start(), found.end(), "api key") for found in _KEYS.finditer(text))
    if "eyJ" in text:
        yield from ((found.start(), found.end(), "token") for found in _JWT.finditer(text))
    if "hooks.slack.com" in text:
        yield from ((*found.span(1), "token") for found in _HOOK.finditer(text))
    if "://" in text:
        yield from ((*found.span(1), "password") for found in _IN_ADDRESS.finditer(text) if _secret(found[1]))
    for found in _HEADER.finditer(text):
        group = found.lastindex or 1
        if _MIXED.search(found[group]):
            yield *found.span(group), "token"
    yield from _assigned(text)


def _assigned(text: str) -> Iterator[tuple[int, int, str]]:
    """Values that are called a password, secret, key or token where they stand."""
    for found in _ASSIGNED.finditer(text):
        group = next(name for name in ("double", "single", "bare") if found[name])
        value = found[group]
        if group == "bare":
            stripped = value.rstrip(".:!?")
            if not _secret(stripped) or _LEGIBLE.fullmatch(stripped):
                continue  # words, names and paths: `password: required`, `secret=config.secret`
        elif not _secret(value) or (found["sign"] is None and _LEGIBLE.fullmatch(value)):
            continue
        what = found["what"].lower()
        kind = "password" if what.startswith(("pass", "pwd")) else "token" if what.endswith("token") else "api key"
        start = found.start(group)
        yield start, start + len(value if group != "bare" else stripped), kind


def _secret(value: str) -> bool:
    """Whether a value may be a secret, and not a word that stands for one, or a placeholder."""
    return not (
        value.startswith(("[", "<", "$", "{", "%", "*", "...", "/", "./", "~", "http://", "https://"))
        or _PLAIN_WORDS.match(value)
        or len(set(value)) < 3
        or (value.isdigit() and len(value) < 4)
    )
