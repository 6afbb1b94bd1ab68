// openid-client: metadata, password (as any further grant), refresh, client credentials,
// introspection and revocation.

import assert from "node:assert/strict";
import * as client from "openid-client";
import { bothScopes, refused, resource, server, status, user } from "./server.mjs";

const discover = (id, auth) =>
  client.discovery(new URL(server.issuer), id, undefined, auth, { algorithm: "oauth2" });
const publicOne = await discover(server.public, client.None());
const confidential = await Promise.all([
  discover(server.confidential, client.ClientSecretBasic(server.secret)),
  discover(server.confidential, client.ClientSecretPost(server.secret)),
]);

const has = (code) => (error) => error instanceof client.ResponseBodyError && error.error === code;
const isChallenge = (scheme) => (error) =>
  error instanceof client.WWWAuthenticateChallengeError && error.cause[0].scheme === scheme;

const logIn = (config, changed = {}) =>
  client.genericGrantRequest(config, "password", { ...user, scope: bothScopes, ...changed });

async function actForAUser(config) {
  await refused(logIn(config, { password: "wrong" }), has("invalid_grant"));
  const first = await logIn(config);
  assert.ok(first.expiresIn() > 3000);
  const second = await client.refreshTokenGrant(config, first.refresh_token);
  assert.equal(second.scope, bothScopes);
  const made = await client.fetchProtectedResource(config, second.access_token, resource, "GET");
  assert.equal(made.status, 200);
  await refused(
    client.fetchProtectedResource(config, first.access_token, resource, "GET"),
    isChallenge("bearer"),
  );
  const narrower = await client.refreshTokenGrant(config, second.refresh_token, { scope: "read" });
  assert.equal(narrower.scope, "read");
  const wider = client.refreshTokenGrant(config, narrower.refresh_token, { scope: "read admin" });
  await refused(wider, has("invalid_scope"));
  for (const kind of ["access_token", "refresh_token"]) {
    const ended = await logIn(config);
    await client.tokenRevocation(config, ended[kind], { token_type_hint: kind });
    assert.equal(await status(ended.access_token), 401);
    const again = client.refreshTokenGrant(config, ended.refresh_token);
    await refused(again, has("invalid_grant"));
  }
}

async function actForItself(config) {
  const token = await client.clientCredentialsGrant(config, { scope: "write" });
  assert.equal(token.scope, "write");
  assert.equal(token.refresh_token, undefined);
  assert.equal(await status(token.access_token), 200);
  const own = await client.tokenIntrospection(config, token.access_token);
  assert.equal(own.client_id, server.confidential);
  assert.equal(own.username, undefined);
  const login = await logIn(publicOne);
  const told = await client.tokenIntrospection(config, login.access_token);
  assert.equal(told.username, user.username);
  assert.equal(told.iss, server.issuer);
  await client.tokenRevocation(publicOne, login.refresh_token);
  const ended = await client.tokenIntrospection(config, login.access_token);
  assert.deepEqual(ended, { active: false });
}

for (const config of [publicOne, ...confidential]) await actForAUser(config);
for (const config of confidential) await actForItself(config);
const stranger = await discover(server.confidential, client.ClientSecretPost("wrong"));
// The library tells of the challenge that a 401 has (RFC 9110 §15.5.2), not of the error.
await refused(logIn(stranger), isChallenge("basic"));
