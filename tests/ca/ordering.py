"""How these tests work an order through, in single steps, and the CSRs they hand in."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from autossl_panel.ca import Client, OrderState
from tests.ca.authority import Authority


def csr_der(*names: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])] if len(names[0]) < 65 else [])
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(alternatives, False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def soon(seconds: float = 20) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def never() -> bool:
    return False


def is_ready(state: OrderState) -> bool:
    return state.status == "ready"


def is_valid(state: OrderState) -> bool:
    return state.certificate is not None


def prove(client: Client, authority: Authority, state: OrderState, *, publish: bool = True) -> None:
    """Answer the HTTP-01 challenges of an order's pending authorizations."""
    for url in state.authorizations:
        authorization = client.authorization(url)
        if authorization.status == "pending":
            assert authorization.http01 is not None
            if publish:
                authority.publish(authorization.http01)
            client.answer(authorization.http01.url)


def wait(client: Client, url: str) -> OrderState:
    return client.poll(url, until=lambda state: is_ready(state) or is_valid(state), deadline=soon(), stop=never)


def finish(client: Client, state: OrderState, csr: bytes) -> bytes:
    """From ready to the chain."""
    done = client.finalize(state.finalize, csr, order_url=state.url)
    if done.certificate is None:
        done = client.poll(state.url, until=is_valid, deadline=soon(), stop=never, after=done.retry_after)
    assert done.certificate is not None, done
    return client.download(done.certificate)


def issue(client: Client, authority: Authority, *names: str) -> bytes:
    """A certificate chain for `names`, all steps."""
    state = client.new_order(names)
    prove(client, authority, state)
    return finish(client, wait(client, state.url), csr_der(*names))


def leaf(chain_pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificates(chain_pem)[0]
