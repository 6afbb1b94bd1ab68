"""Authlib: metadata, password, refresh, client credentials, introspection and revocation."""

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from server import INTROSPECT, RESOURCE, REVOKE, SERVER, TOKEN, expect, refused

METHODS = ("client_secret_basic", "client_secret_post")


def discover():
    """The metadata, checked by the library."""
    url = get_well_known_url(SERVER.issuer, external=True)
    metadata = AuthorizationServerMetadata(requests.get(url, timeout=30).json())
    expect(metadata["issuer"], SERVER.issuer)
    for key in metadata.keys() - {"response_types_supported"}:
        getattr(metadata, f"validate_{key}")()
    # RFC 8414 requires it also of a server without an authorization endpoint, which has none.
    expect(metadata["response_types_supported"], [])
    return metadata


def client(method, secret=SERVER.secret, **more):
    """A client that authenticates with a method, everywhere."""
    return OAuth2Session(
        SERVER.public if method == "none" else SERVER.confidential,
        None if method == "none" else secret,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        token_endpoint=METADATA["token_endpoint"],
        **more,
    )


def log_in(session, password=SERVER.password):
    """The password grant."""
    return session.fetch_token(username=SERVER.username, password=password)


def status(token):
    """What the protected route answers to the bearer of a token."""
    return OAuth2Session(token=token).get(RESOURCE).status_code


def act_for_a_user(method):
    """All that a client does for a user."""
    session = client(method, scope="read write")
    with refused(OAuthError, "invalid_grant"):
        log_in(session, "wrong")
    first = log_in(session)
    expect(status(first), 200)
    second = session.refresh_token()
    expect((status(second), status(first)), (200, 401))
    with refused(OAuthError, "invalid_scope"):
        session.refresh_token(scope="read admin")
    narrower = session.refresh_token(scope="read")
    expect(narrower["scope"], "read")
    # An expired token is refreshed by the request that needs it.
    session.scope = "read"
    session.token = dict(narrower, expires_at=1)
    expect(session.get(RESOURCE).status_code, 200)
    assert session.token["access_token"] != narrower["access_token"]
    ended = session.token
    for hint in ("access_token", "refresh_token"):
        answer = session.revoke_token(METADATA["revocation_endpoint"], ended[hint], hint)
        expect((answer.status_code, answer.json()), (200, {}))
        expect(status(ended), 401)
        with refused(OAuthError, "invalid_grant"):
            session.refresh_token(refresh_token=ended["refresh_token"])
        ended = log_in(session)


def introspect(session, token):
    """What a resource server is told of a token."""
    url = METADATA["introspection_endpoint"]
    return session.introspect_token(url, token["access_token"], "access_token").json()


def act_for_itself(method):
    """A client's own token, and what it is told of that and of a user's."""
    session = client(method)
    token = session.fetch_token(grant_type="client_credentials", scope="write")
    expect((token["scope"], token.get("refresh_token")), ("write", None))
    expect(status(token), 200)
    told = introspect(session, token)
    expect((told["active"], told["client_id"]), (True, SERVER.confidential))
    assert "username" not in told and "sub" not in told, told
    login = log_in(client("none"))
    told = introspect(session, login)
    expect((told["client_id"], told["username"]), (SERVER.public, SERVER.username))
    log_in(client("none"))
    expect(introspect(session, login), {"active": False})
    with refused(OAuthError, "invalid_client"):
        log_in(client(method, "wrong"))


METADATA = discover()
expect(METADATA["token_endpoint"], TOKEN)
expect(METADATA["revocation_endpoint"], REVOKE)
expect(METADATA["introspection_endpoint"], INTROSPECT)
for one in ("none", *METHODS):
    act_for_a_user(one)
for one in METHODS:
    act_for_itself(one)
