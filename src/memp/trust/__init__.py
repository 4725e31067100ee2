"""What may be believed: where text comes from, what looks like an attack, what must not be kept at all."""

from memp.trust.injection import instruction_like, suspicion
from memp.trust.redact import Detector, Found, Redactor, presidio
from memp.trust.taint import Trusted

__all__ = ["Detector", "Found", "Redactor", "Trusted", "instruction_like", "presidio", "suspicion"]
