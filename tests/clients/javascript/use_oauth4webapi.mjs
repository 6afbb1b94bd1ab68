// oauth4webapi: metadata, password (as any further grant), refresh, client credentials,
// introspection and revocation. Every answer is checked by the library, media type and all.

import assert from "node:assert/strict";
import * as oauth from "oauth4webapi";
import { bothScopes, refused, resource, server, status, user } from "./server.mjs";

const issuer = new URL(server.issuer);
const discovered = await oauth.discoveryRequest(issuer, { algorithm: "oauth2" });
const as = await oauth.processDiscoveryResponse(issuer, discovered);

const publicOne = [{ client_id: server.public }, oauth.None()];
const confidential = (method) => [{ client_id: server.confidential }, method(server.secret)];
const methods = [oauth.ClientSecretBasic, oauth.ClientSecretPost];

const has = (code) => (error) => error instanceof oauth.ResponseBodyError && error.error === code;
const isChallenge = (scheme, code) => (error) =>
  error instanceof oauth.WWWAuthenticateChallengeError &&
  error.cause[0].scheme === scheme &&
  error.cause[0].parameters.error === code;

async function logIn([client, auth], changed = {}) {
  const form = { ...user, scope: bothScopes, ...changed };
  const answer = await oauth.genericTokenEndpointRequest(as, client, auth, "password", form);
  return oauth.processGenericTokenEndpointResponse(as, client, answer);
}

async function refresh([client, auth], token, scope = bothScopes) {
  const answer = await oauth.refreshTokenGrantRequest(as, client, auth, token.refresh_token, {
    additionalParameters: { scope },
  });
  return oauth.processRefreshTokenResponse(as, client, answer);
}

async function introspect([client, auth], token) {
  const answer = await oauth.introspectionRequest(as, client, auth, token.access_token);
  return oauth.processIntrospectionResponse(as, client, answer);
}

async function revoke([client, auth], token) {
  const answer = await oauth.revocationRequest(as, client, auth, token);
  await oauth.processRevocationResponse(answer);
}

async function actForAUser(one) {
  await refused(logIn(one, { password: "wrong" }), has("invalid_grant"));
  const first = await logIn(one);
  assert.equal(await status(first.access_token), 200);
  const second = await refresh(one, first);
  assert.equal(await status(second.access_token), 200);
  const challenged = oauth.protectedResourceRequest(first.access_token, "GET", resource);
  await refused(challenged, isChallenge("bearer", "invalid_token"));
  await refused(refresh(one, second, "read admin"), has("invalid_scope"));
  const narrower = await refresh(one, second, "read");
  assert.equal(narrower.scope, "read");
  for (const kind of ["access_token", "refresh_token"]) {
    const ended = await logIn(one);
    await revoke(one, ended[kind]);
    assert.equal(await status(ended.access_token), 401);
    await refused(refresh(one, ended), has("invalid_grant"));
  }
}

async function actForItself(one) {
  const answer = await oauth.clientCredentialsGrantRequest(as, ...one, { scope: "write" });
  const token = await oauth.processClientCredentialsResponse(as, one[0], answer);
  assert.equal(token.scope, "write");
  assert.equal(token.refresh_token, undefined);
  assert.equal(await status(token.access_token), 200);
  const told = await introspect(one, token);
  assert.equal(told.client_id, server.confidential);
  assert.equal(told.username, undefined);
  const login = await logIn(publicOne);
  const { active, username } = await introspect(one, login);
  assert.deepEqual({ active, username }, { active: true, username: user.username });
  await revoke(publicOne, login.access_token);
  assert.deepEqual(await introspect(one, login), { active: false });
}

for (const one of [publicOne, ...methods.map(confidential)]) await actForAUser(one);
for (const method of methods) {
  await actForItself(confidential(method));
  // The library tells of the challenge that a 401 has (RFC 9110 §15.5.2), not of the error.
  const stranger = [{ client_id: server.confidential }, method("wrong")];
  await refused(logIn(stranger), isChallenge("basic", undefined));
}
