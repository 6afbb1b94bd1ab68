"""An Eve program whose tokens are Sentinel's, which it looks up in Redis as Eve-OAuth2 does."""

import threading

import requests
from authlib.integrations.requests_client import OAuth2Session
from eve import Eve
from eve.auth import BasicAuth
from flask import request
from redis import Redis
from server import REVOKE, SERVER, TOKEN, expect
from werkzeug.serving import make_server

VERIFY = f"{SERVER.issuer}/oauth/verify"
END = f"{SERVER.issuer}/oauth/management/api/v1/tokens/revoke"


class BearerAuth(BasicAuth):
    """Lets in the bearer of whatever is a key with a value."""

    redis = Redis.from_url(SERVER.redis)

    def check_auth(self, token, allowed_roles, resource, method):
        """Whether Redis knows the token."""
        return self.redis.get(token)

    def authorized(self, allowed_roles, resource, method):
        """Whether the request bears a token that is good."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return scheme == "Bearer" and token and self.check_auth(
            token, allowed_roles, resource, method
        )


def serve():
    """Runs the program in a thread; gives the address of its one resource."""
    settings = {"MONGO_URI": SERVER.mongo, "DOMAIN": {"people": {}}}
    server = make_server("127.0.0.1", 0, Eve(auth=BearerAuth, settings=settings))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.port}/people"


def status(token):
    """What the program answers to the bearer of a token."""
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(PEOPLE, headers=headers, timeout=30).status_code


def log_in():
    """A user's session, by the public client."""
    session = OAuth2Session(
        SERVER.public,
        token_endpoint=TOKEN,
        token_endpoint_auth_method="none",
        revocation_endpoint_auth_method="none",
    )
    session.fetch_token(username=SERVER.username, password=SERVER.password)
    expect(status(session.token["access_token"]), 200)
    return session


def end(session, how):
    """Does something that ends the session's access token."""
    access, refresh = (session.token[name] for name in ("access_token", "refresh_token"))
    if how == "refresh":
        session.refresh_token()
        expect(status(session.token["access_token"]), 200)
    elif how == "a second login":
        log_in()
    elif how == "the console":
        console = tuple(SERVER.console)
        expect(requests.post(END, json={"token": access}, auth=console).status_code, 204)
    else:
        token = access if how == "revocation" else refresh
        expect(session.revoke_token(REVOKE, token).status_code, 200)
    expect((how, status(access)), (how, 401))


def a_client_is_no_user():
    """A client's own token is good for Sentinel, and lets nobody into the program."""
    session = OAuth2Session(SERVER.confidential, SERVER.secret, token_endpoint=TOKEN)
    token = session.fetch_token(grant_type="client_credentials")["access_token"]
    for _ in range(2):
        expect(session.get(VERIFY).status_code, 204)
        for named in (token, f"sentinel:{{{token}}}"):
            expect(status(named), 401)


PEOPLE = serve()
expect(requests.get(PEOPLE, timeout=30).status_code, 401)
for way in ("refresh", "a second login", "the console", "revocation", "of the refresh token"):
    end(log_in(), way)
live = log_in()
a_client_is_no_user()
for no_token in (live.token["refresh_token"], SERVER.username, SERVER.public, "x" * 30):
    expect(status(no_token), 401)
expect(status(live.token["access_token"]), 200)
