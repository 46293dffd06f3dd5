"""What a TLS failure means and what to do about it, in words."""

import ssl
from typing import Final

# What `verify_code` can be: X509_V_ERR_* of OpenSSL (x509_vfy.h); where the system itself judges, errSec* of macOS (SecBase.h,
# negative) and CERT_E_* of Windows (winerror.h), whose only code for both ends of a validity is the one for "expired".
_NOT_YET_VALID: Final = frozenset({9, -67819})
_EXPIRED: Final = frozenset({10, -67818, 0x800B0101})
_SELF_SIGNED: Final = frozenset({18, 19})
_UNKNOWN_ISSUER: Final = frozenset({2, 20, 21, -67843, -25318, 0x800B0109, 0x800B010A})
_WRONG_NAME: Final = frozenset({62, 64, -67602, 0x800B010F})

_SET_CA_FILE: Final = "if your company intercepts TLS or runs its own CA, set CA_FILE to that CA's certificate (PEM)"


def explain_tls(error: ssl.SSLError, host: str) -> str:
    """Return one sentence that names the host, the problem and the remedy."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_verification(error, host)
    reason = getattr(error, "reason", None) or ""
    if "WRONG_VERSION_NUMBER" in reason or "HTTP_REQUEST" in reason:
        return f"{host} does not speak TLS on this port: is it an http:// address, or the port of something else?"
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
        return f"{host} refused the TLS handshake: it may require a client certificate (CLIENT_CERT_FILE)"
    return f"the TLS handshake with {host} failed ({reason or 'no reason given'})"


def lacks_authority(error: ssl.SSLError) -> bool:
    """Whether a certificate was refused for who signed it, and not for its name or its dates."""
    return getattr(error, "verify_code", 0) in _SELF_SIGNED | _UNKNOWN_ISSUER


def _explain_verification(error: ssl.SSLCertVerificationError, host: str) -> str:
    code = getattr(error, "verify_code", 0)
    words = getattr(error, "verify_message", None) or " ".join(map(str, error.args))
    if code in _WRONG_NAME or "match" in words:
        return f"the certificate is not for {host}: check the address; {_SET_CA_FILE}"
    if code in _EXPIRED:
        return f"the certificate of {host} has expired: its owner must renew it (or this machine's clock is wrong)"
    if code in _NOT_YET_VALID:
        return f"the certificate of {host} is not valid yet: check this machine's clock"
    if code in _SELF_SIGNED:
        return f"the certificate of {host} is self-signed or from a private CA and not trusted here; {_SET_CA_FILE}"
    if code in _UNKNOWN_ISSUER:
        return f"the certificate of {host} is from a CA that is not trusted here; {_SET_CA_FILE}"
    return f"the certificate of {host} is not trusted ({words}); {_SET_CA_FILE}"
