"""requests-oauthlib: password, refresh, client credentials; revocation as its oauthlib client says it.

It knows neither introspection nor metadata. It sends a client's secret as Basic, unless it is told
`include_client_id`; the identifier of a public client goes the same ways.
"""

from collections import namedtuple

import requests
from oauthlib.oauth2 import BackendApplicationClient, LegacyApplicationClient
from oauthlib.oauth2.rfc6749 import errors
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session
from server import RESOURCE, REVOKE, SERVER, TOKEN, expect, refused

USER = {"username": SERVER.username, "password": SERVER.password}
OWN = {"client_id": SERVER.confidential, "client_secret": SERVER.secret}

# At a login the library authenticates the client; at a refresh its caller gives Basic or parameters.
Client = namedtuple("Client", "id at_login basic parameters")
PUBLIC = [
    Client(SERVER.public, {}, HTTPBasicAuth(SERVER.public, ""), {}),
    Client(SERVER.public, {"include_client_id": True}, None, {"client_id": SERVER.public}),
]
SECRET = {"client_secret": SERVER.secret}
CONFIDENTIAL = [
    Client(OWN["client_id"], SECRET, HTTPBasicAuth(*OWN.values()), {}),
    Client(OWN["client_id"], SECRET | {"include_client_id": True}, None, OWN),
]


def status(token):
    """What the protected route answers to the bearer of a token."""
    return OAuth2Session(token=token).get(RESOURCE).status_code


def refresh(session, client):
    """The refresh grant."""
    return session.refresh_token(TOKEN, auth=client.basic, **client.parameters)


def use_after_expiry(session, client):
    """An expired token is refreshed by the request that needs it; gives the new one."""
    kept = []
    session.auto_refresh_url, session.token_updater = TOKEN, kept.append
    session.auto_refresh_kwargs = client.parameters
    session.token = session.token | {"expires_in": -1, "expires_at": 1}
    expect(session.get(RESOURCE, auth=client.basic).status_code, 200)
    session.auto_refresh_url = None
    return kept.pop()


def revoke(session, client):
    """Ends the session by its refresh token."""
    url, headers, body = session._client.prepare_token_revocation_request(
        REVOKE, session.token["refresh_token"], "refresh_token", **client.parameters
    )
    answer = requests.post(url, data=body, headers=headers, auth=client.basic, timeout=30)
    expect(answer.status_code, 200)


def act_for_a_user(client):
    """All that a client does for a user."""
    session = OAuth2Session(
        client=LegacyApplicationClient(client_id=client.id, scope=["read", "write"])
    )
    with refused(errors.InvalidGrantError, "invalid_grant"):
        session.fetch_token(TOKEN, **USER | {"password": "wrong"}, **client.at_login)
    first = session.fetch_token(TOKEN, **USER, **client.at_login)
    expect(status(first), 200)
    second = refresh(session, client)
    expect((status(second), status(first)), (200, 401))
    session.scope = ["read"]
    expect(refresh(session, client)["scope"], ["read"])
    last = use_after_expiry(session, client)
    expect(status(last), 200)
    revoke(session, client)
    expect(status(last), 401)
    with refused(errors.InvalidGrantError, "invalid_grant"):
        refresh(session, client)


def act_for_itself(client):
    """A client's own token, which no refresh token comes with."""
    session = OAuth2Session(client=BackendApplicationClient(client_id=client.id, scope="write"))
    with refused(errors.InvalidClientError, "invalid_client"):
        session.fetch_token(TOKEN, **client.at_login | {"client_secret": "wrong"})
    token = session.fetch_token(TOKEN, **client.at_login)
    expect((token["scope"], token.get("refresh_token")), (["write"], None))
    expect(status(token), 200)


for one in PUBLIC + CONFIDENTIAL:
    act_for_a_user(one)
for one in CONFIDENTIAL:
    act_for_itself(one)
