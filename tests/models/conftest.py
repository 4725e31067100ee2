from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_certificate(tmp_path_factory):
    """Each SDK client loads all root certificates (50 ms); on the loopback interface one is plenty."""
    with pytest.MonkeyPatch.context() as patch:
        if find_spec("certifi"):
            import certifi

            first, end, _ = Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----\n")
            path = tmp_path_factory.mktemp("certificates") / "one.pem"
            path.write_text(first + end)
            patch.setenv("SSL_CERT_FILE", str(path))
        yield
