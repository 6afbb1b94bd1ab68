// simple-oauth2: password, refresh, client credentials and revocation. It knows neither
// introspection nor metadata. A public client has an empty secret.

import assert from "node:assert/strict";
import { ClientCredentials, ResourceOwnerPassword } from "simple-oauth2";
import { bothScopes, refused, server, status, user } from "./server.mjs";

const settings = (id, secret, authorizationMethod) => ({
  client: { id, secret },
  auth: { tokenHost: server.issuer },
  options: { authorizationMethod },
});
const methods = ["header", "body"];
const publicOnes = methods.map((method) => settings(server.public, "", method));
const confidential = methods.map((method) => settings(server.confidential, server.secret, method));

// Its errors are those of its HTTP client: the answer is in them.
const has = (code) => (error) => error.isBoom && error.data.payload.error === code;

async function actForAUser(how) {
  const grant = new ResourceOwnerPassword(how);
  const logIn = (password) => grant.getToken({ ...user, password, scope: bothScopes });
  await refused(logIn("wrong"), has("invalid_grant"));
  const first = await logIn(user.password);
  assert.equal(await status(first.token.access_token), 200);
  assert.equal(first.expired(), false);
  const second = await first.refresh();
  assert.equal(await status(second.token.access_token), 200);
  assert.equal(await status(first.token.access_token), 401);
  await refused(second.refresh({ scope: ["read", "admin"] }), has("invalid_scope"));
  const narrower = await second.refresh({ scope: ["read"] });
  assert.equal(narrower.token.scope, "read");
  await narrower.revokeAll();
  assert.equal(await status(narrower.token.access_token), 401);
  await refused(narrower.refresh(), has("invalid_grant"));
  for (const kind of ["access_token", "refresh_token"]) {
    const ended = await logIn(user.password);
    await ended.revoke(kind);
    assert.equal(await status(ended.token.access_token), 401);
  }
}

async function actForItself(how) {
  const grant = new ClientCredentials(how);
  const { token } = await grant.getToken({ scope: "write" });
  assert.equal(token.scope, "write");
  assert.equal(token.refresh_token, undefined);
  assert.equal(await status(token.access_token), 200);
}

for (const how of [...publicOnes, ...confidential]) await actForAUser(how);
for (const how of confidential) await actForItself(how);
for (const method of methods) {
  const stranger = new ClientCredentials(settings(server.confidential, "wrong", method));
  await refused(stranger.getToken({}), has("invalid_client"));
}
